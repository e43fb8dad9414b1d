//! Parts of a folder's page: the way to it, its entries, the place for uploads.

use super::icons::{Icon, icon};
use super::{FolderPage, time};
use crate::files::MAX_RAW;
use crate::share::browse::folder_address;
use crate::share::entries::{By, Order, PER_PAGE, human};
use app::vfs::{Entry, EntryKind};
use domain::path::{Name, VPath};
use domain::preview::shown_as;
use maud::{Markup, html};

/// The folders above this one, up to what is shared.
pub(super) fn crumbs(page: &FolderPage<'_>) -> Markup {
    if page.path.is_root() {
        return html! {};
    }
    let mut above = vec![(page.title.clone(), folder_address(page.secret, &VPath::root()))];
    let mut at = VPath::root();
    let segments: Vec<&str> = page.path.segments().collect();
    for segment in segments.iter().take(segments.len().saturating_sub(1)) {
        if let Ok(next) = Name::parse(segment).and_then(|name| at.child(&name)) {
            at = next;
            above.push(((*segment).to_owned(), folder_address(page.secret, &at)));
        }
    }
    html! {
        nav.crumbs aria-label="Folders above" {
            ol { @for (name, address) in &above { li { a href=(address) { bdi { (name) } } } } }
        }
    }
}

/// The entries, in pieces.
pub(super) fn table(page: &FolderPage<'_>) -> Markup {
    html! {
        table.entries {
            caption.sr { "Files and folders" }
            thead {
                tr {
                    @for (by, text, label) in By::ALL { (heading(page, (by, text, label))) }
                    th.act scope="col" { span.sr { "Actions" } }
                }
            }
            tbody { @for entry in &page.entries { (row(page, entry)) } }
        }
        p.count {
            (page.count) @if page.cut { "+" } " " @if page.count == 1 { "entry" } @else { "entries" }
            @if page.pages > 1 {
                ", from " ((page.page - 1) * PER_PAGE + 1) " to " ((page.page - 1) * PER_PAGE + page.entries.len())
            }
        }
        @if page.pages > 1 {
            nav.pages aria-label="Pages" {
                @if page.page > 1 { a.button rel="prev" href=(page.query(page.order, page.page - 1)) { "Previous" } }
                span { "Page " (page.page) " of " (page.pages) }
                @if page.page < page.pages { a.button rel="next" href=(page.query(page.order, page.page + 1)) { "Next" } }
            }
        }
    }
}

fn heading(page: &FolderPage<'_>, (by, class, label): (By, &str, &str)) -> Markup {
    let current = page.order.by == by;
    let descending = current && !page.order.descending;
    let order = Order { by, descending };
    let sorted = match (current, page.order.descending) {
        (false, _) => None,
        (true, false) => Some("ascending"),
        (true, true) => Some("descending"),
    };
    html! {
        th class=(class) scope="col" aria-sort=[sorted] {
            a href=(page.query(order, 1)) {
                (label)
                @if current { span.arrow aria-hidden="true" { @if page.order.descending { "↓" } @else { "↑" } } }
            }
        }
    }
}

fn row(page: &FolderPage<'_>, entry: &Entry) -> Markup {
    let at = page.child(entry);
    let is_file = entry.kind == EntryKind::File;
    html! {
        tr {
            td.name {
                @if is_file && !page.may_download {
                    span.entry { (icon(Icon::File)) bdi { (entry.name) } }
                } @else {
                    a.entry href=(at) {
                        (icon(if is_file { Icon::File } else { Icon::Folder }))
                        bdi { (entry.name) }
                        @if !is_file { span.sr { ", folder" } }
                    }
                }
            }
            td.size { @if is_file { (human(entry.bytes)) } @else { span aria-hidden="true" { "–" } } }
            td.time { @if is_file { (time(entry)) } @else { span aria-hidden="true" { "–" } } }
            td.act {
                @if is_file && page.may_download && shown_as(&entry.name).is_some() {
                    a.quiet href={ (at) "?view=1" } title="View" { (icon(Icon::View)) span.sr { "View " (entry.name) } }
                }
                @if page.may_download && is_file {
                    a.quiet href={ (at) "?download=1" } title="Download" {
                        (icon(Icon::Download)) span.sr { "Download " (entry.name) }
                    }
                }
                @if page.zip && !is_file {
                    a.quiet href={ (at) "?zip=1" } title="Download as ZIP" {
                        (icon(Icon::Archive)) span.sr { "Download " (entry.name) " as ZIP" }
                    }
                }
                @if page.may_delete {
                    details.delete {
                        summary.quiet title="Delete" { (icon(Icon::Delete)) span.sr { "Delete " (entry.name) } }
                        form method="post" action={ (page.here()) "?do=delete" } {
                            input type="hidden" name="name" value=(entry.name);
                            button.danger type="submit" {
                                @if is_file { "Delete this file" } @else { "Delete with all in it" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The place for uploads: a form, of which a script makes more.
pub(super) fn upload(page: &FolderPage<'_>) -> Markup {
    let rule = if page.may_replace {
        "A file of the same name is replaced."
    } else {
        "A file whose name is taken is refused."
    };
    html! {
        section #upload.upload data-here=(page.here()) data-small=(MAX_RAW) data-sees=(page.sees) aria-label="Send files" {
            form method="post" enctype="multipart/form-data" action={ (page.here()) "?do=form" } {
                div.drop {
                    (icon(Icon::Upload))
                    p.script.big { span.drag { "Drop files and folders here" } span.touch { "Send files" } }
                    p.script.or { "or" }
                    div.choose.script {
                        button #files-button.primary type="button" { "Choose files" }
                        button #folder-button type="button" { "Choose a folder" }
                    }
                    p.plain { label for="files" { "Files to send, up to 4 MB together" } }
                    input #files.plain type="file" name="filenames" multiple;
                    button.primary.plain type="submit" { "Send" }
                    p.rule { (rule) }
                }
            }
            div #transfers.transfers hidden {
                div.total {
                    p #summary.summary role="status" aria-live="polite" {}
                    progress #total max="100" value="0" aria-label="All files" {}
                    div.controls {
                        button #pause type="button" { "Pause" }
                        button #retry type="button" hidden { "Try again" }
                        button #cancel type="button" { "Stop" }
                        button #clear type="button" hidden { "Done" }
                    }
                }
                ul #list.list aria-label="Files that are sent" {}
            }
            @if page.may_make_folders {
                details.folder {
                    summary { (icon(Icon::Add)) span { "New folder" } }
                    form method="post" action={ (page.here()) "?do=folder" } {
                        label.sr for="folder-name" { "Name of the folder" }
                        input #folder-name type="text" name="name" required maxlength="200" autocomplete="off";
                        button type="submit" { "Make it" }
                    }
                }
            }
        }
    }
}
