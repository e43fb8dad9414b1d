//! The pages. Whatever visitors and owners have named is text here: maud escapes it. Nothing depends on scripts but comfort.

mod icons;
mod parts;

use super::assets;
use super::browse::{Visiting, address, folder_address};
use super::entries::{By, MAX_READ, Order, human};
use super::request::Asked;
use app::vfs::{Entry, EntryKind};
use domain::access::Verb;
use domain::path::{Name, VPath};
use domain::preview::shown_as;
use icons::{Icon, icon};
use maud::{DOCTYPE, Markup, html};
use parts::{crumbs, table, upload};

/// What the page of a folder shows.
pub(super) struct FolderPage<'a> {
    pub(super) organization: &'a str,
    pub(super) secret: &'a str,
    pub(super) path: &'a VPath,
    /// The name of what is shared.
    pub(super) title: String,
    pub(super) entries: Vec<Entry>,
    pub(super) order: Order,
    pub(super) page: usize,
    pub(super) pages: usize,
    /// Entries in the folder, as far as they were read.
    pub(super) count: usize,
    /// Whether there are more than were read.
    pub(super) cut: bool,
    /// Whether names are shown at all.
    pub(super) sees: bool,
    pub(super) may_download: bool,
    pub(super) may_upload: bool,
    pub(super) may_replace: bool,
    pub(super) may_delete: bool,
    pub(super) may_make_folders: bool,
    /// Whether a folder can be had as a ZIP.
    pub(super) zip: bool,
}

impl<'a> FolderPage<'a> {
    /// Of a folder that visitors see.
    pub(super) fn of(
        asked: &'a Asked,
        visiting: &'a Visiting,
        entries: Vec<Entry>,
        (order, page, pages): (Order, usize, usize),
        (count, cut): (usize, bool),
        zip: bool,
    ) -> Self {
        let may = |verb| visiting.may(verb, &asked.path);
        let several = visiting.entered.share.paths.len() > 1 && asked.path.is_root();
        Self {
            organization: &visiting.entered.organization,
            secret: asked.secret.reveal(),
            path: &asked.path,
            title: title(visiting),
            entries,
            order,
            page,
            pages,
            count,
            cut,
            sees: may(Verb::List),
            may_download: may(Verb::Download),
            may_upload: may(Verb::Upload) && !several,
            may_replace: may(Verb::Overwrite),
            may_delete: may(Verb::DeleteFiles) && may(Verb::DeleteFolders) && !several,
            may_make_folders: may(Verb::CreateFolders) && may(Verb::List) && !several,
            zip: zip && may(Verb::Download),
        }
    }

    /// Of a folder into which files are put by who sees nothing of it.
    pub(super) fn to_upload(asked: &'a Asked, visiting: &'a Visiting) -> Self {
        let order = Order { by: By::Name, descending: false };
        Self { sees: false, ..Self::of(asked, visiting, Vec::new(), (order, 1, 1), (0, false), false) }
    }

    /// The same folder in another order or from another page.
    fn query(&self, order: Order, page: usize) -> String {
        let direction = if order.descending { "desc" } else { "asc" };
        let page = if page > 1 { format!("&page={page}") } else { String::new() };
        format!("?sort={}&order={direction}{page}", order.by.text())
    }

    fn here(&self) -> String {
        folder_address(self.secret, self.path)
    }

    fn child(&self, entry: &Entry) -> String {
        let path =
            Name::parse(&entry.name).and_then(|name| self.path.child(&name)).unwrap_or_else(|_| self.path.clone());
        match entry.kind {
            EntryKind::File => address(self.secret, &path),
            EntryKind::Folder => folder_address(self.secret, &path),
        }
    }
}

/// What is shared, for people.
fn title(visiting: &Visiting) -> String {
    let share = &visiting.entered.share;
    match share.paths.as_slice() {
        _ if !share.name.is_empty() => share.name.clone(),
        [path] => path.tree.name().unwrap_or("Files").to_owned(),
        paths => format!("{} items", paths.len()),
    }
}

/// A page of a folder.
pub(super) fn folder(page: &FolderPage<'_>) -> Markup {
    let name = page.path.name().unwrap_or(&page.title);
    let lead = match (page.sees, page.may_upload) {
        (false, _) => "You can send files here. Nobody who opens this link sees what has been sent.",
        (true, true) => "You can download files, and add your own.",
        (true, false) => "",
    };
    let content = html! {
        main #main tabindex="-1" {
            header.head {
                @if page.sees { (crumbs(page)) }
                div.title {
                    h1 { bdi { (name) } }
                    @if page.zip && page.count > 0 {
                        a.button href={ (page.here()) "?zip=1" } { (icon(Icon::Archive)) span { "Download all" } }
                    }
                }
                @if !lead.is_empty() { p.lead { (lead) } }
            }
            @if page.may_upload { (upload(page)) }
            @if page.sees {
                @if page.entries.is_empty() {
                    section.empty {
                        (icon(Icon::Empty))
                        h2 { "This folder is empty" }
                        p {
                            @if page.may_upload { "Files that are sent here appear in this place." }
                            @else { "Nothing has been put here yet. Look again later, or ask whoever sent you the link." }
                        }
                    }
                } @else { (table(page)) }
                @if page.cut {
                    p.note { "The folder has more than " (MAX_READ) " entries; the first of them are shown." }
                }
            }
        }
    };
    frame(name, page.organization, &content)
}

/// A page of one file.
pub(super) fn file(asked: &Asked, visiting: &Visiting, entry: &Entry) -> Markup {
    let secret = asked.secret.reveal();
    let path = VPath::parse(&entry.name).unwrap_or(VPath::root());
    let at = address(secret, &path);
    let kind = shown_as(&entry.name);
    let content = html! {
        main #main.single tabindex="-1" {
            section.card.file {
                @if kind.is_some_and(|kind| kind.starts_with("image/")) {
                    img.preview src={ (at) "?view=1" } alt="" loading="lazy";
                } @else { (icon(Icon::File)) }
                h1 { bdi { (entry.name) } }
                p.facts { (human(entry.bytes)) " · " (time(entry)) }
                div.actions {
                    a.button.primary href={ (at) "?download=1" } { (icon(Icon::Download)) span { "Download" } }
                    @if kind.is_some() { a.button href={ (at) "?view=1" } { (icon(Icon::View)) span { "View" } } }
                }
            }
        }
    };
    frame(&entry.name, &visiting.entered.organization, &content)
}

/// Asks for the password.
pub(super) fn password(organization: &str, address: &str, wrong: bool) -> Markup {
    let content = html! {
        main #main.single tabindex="-1" {
            section.card {
                (icon(Icon::Lock))
                h1 { "This link has a password" }
                p { "Whoever sent you the link can tell it to you." }
                form method="post" action={ (address) "?do=open" } {
                    label for="password" { "Password" }
                    input #password type="password" name="password" autocomplete="current-password" maxlength="256" required
                        autofocus aria-invalid=[wrong.then_some("true")] aria-describedby=[wrong.then_some("wrong")];
                    @if wrong {
                        p #wrong.wrong role="alert" { "That is not the password. Check for small and large letters, and try again." }
                    }
                    button.primary type="submit" { "Open" }
                }
            }
        }
    };
    frame("Password", organization, &content)
}

/// Asks before a visit is counted; also what those see who only look ahead.
pub(super) fn unopened(organization: &str, address: &str, counted: bool) -> Markup {
    let content = html! {
        main #main.single tabindex="-1" {
            section.card {
                (icon(Icon::Folder))
                h1 { "Files have been shared with you" }
                @if counted { p { "This link can be opened a limited number of times. Open it when you are ready: you then have 12 hours." } }
                form method="post" action={ (address) "?do=open" } {
                    button.primary type="submit" { "Open" }
                }
            }
        }
    };
    frame("Shared files", organization, &content)
}

/// Says what is wrong and what can be done.
pub(super) fn refused(organization: &str, (title, text): (&str, &str), home: Option<&str>) -> Markup {
    let content = html! {
        main #main.single tabindex="-1" {
            section.card {
                (icon(Icon::Broken))
                h1 { (title) }
                p { (text) }
                @if let Some(home) = home { a.button href=(home) { "Back to the files" } }
            }
        }
    };
    frame(title, organization, &content)
}

/// When something changed; a script writes it in the visitor's zone.
fn time(entry: &Entry) -> Markup {
    let text = domain::iso8601::seconds(entry.modified).unwrap_or_default();
    let shown = text.replace('T', " ");
    let shown = shown.get(..16).unwrap_or_default();
    html! { time datetime=(text) { (shown) " UTC" } }
}

/// What stands around every page.
fn frame(title: &str, organization: &str, content: &Markup) -> Markup {
    let shown = if organization.is_empty() { title.to_owned() } else { format!("{title} · {organization}") };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (shown) }
                link rel="icon" href=(assets::address("icon.svg"));
                link rel="stylesheet" href=(assets::address("portal.css"));
                script type="module" src=(assets::address("portal.js")) {}
            }
            body {
                a.skip href="#main" { "To the content" }
                div.bar {
                    div.inner {
                        span.mark aria-hidden="true" { (icon(Icon::Mark)) }
                        span.organization { bdi { @if organization.is_empty() { "Shared files" } @else { (organization) } } }
                    }
                }
                (content)
                footer { div.inner { "Sent with Towpath" } }
            }
        }
    }
}
