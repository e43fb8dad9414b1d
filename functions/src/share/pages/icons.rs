//! The few drawings on the pages, as markup of our own.

use maud::{Markup, PreEscaped, html};

/// Which.
#[derive(Clone, Copy)]
pub(super) enum Icon {
    Mark,
    File,
    Folder,
    Download,
    Archive,
    View,
    Upload,
    Delete,
    Add,
    Lock,
    Broken,
    Empty,
}

/// A drawing that says nothing to who cannot see it: the words beside it do.
pub(super) fn icon(which: Icon) -> Markup {
    let path = match which {
        Icon::Mark => "M4 8h16M12 8v9M5 19.500c2.300-1.700 4.700-1.700 7 0s4.700 1.700 7 0",
        Icon::File => "M6 3h8l4 4v14H6zM14 3v4h4",
        Icon::Folder => "M3 6h6l2 2h10v11H3z",
        Icon::Download => "M12 4v11M7 11l5 5 5-5M5 20h14",
        Icon::Archive => "M4 5h16v4H4zM5 9v10h14V9M10 13h4",
        Icon::View => "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
        Icon::Upload => "M12 16V5M7 9l5-5 5 5M5 20h14",
        Icon::Delete => "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
        Icon::Add => "M12 5v14M5 12h14",
        Icon::Lock => "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3",
        Icon::Broken => "M12 8v5M12 16.500v.1M12 3l9.500 17h-19z",
        Icon::Empty => "M3 13l3-8h12l3 8v6H3zM3 13h5l1.500 3h5L16 13h5",
    };
    html! {
        svg.icon viewBox="0 0 24 24" aria-hidden="true" focusable="false" { (PreEscaped(format!("<path d=\"{path}\"/>"))) }
    }
}
