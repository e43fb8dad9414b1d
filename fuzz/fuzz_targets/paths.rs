//! Any bytes as a path in any view: what it leads to lies under the home or a virtual folder. And as a name in every form of a
//! listing: one entry is one line.
#![no_main]
#![allow(dead_code, reason = "the node uses what a fuzzer does not")]

#[path = "../../protocol-node/src/cutting.rs"]
mod cutting;
mod sftp;
#[path = "../../protocol-node/src/ftps/text.rs"]
mod text;

use app::vfs::{Entry, EntryKind};
use domain::id::OrganizationId;
use domain::path::{Chroot, Located, VPath, View};
use domain::time::Timestamp;
use text::{Facts, Form};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0xff);
    let mut next = || VPath::parse_bytes(parts.next().unwrap_or_default());
    let (Ok(mount), Ok(home), Ok(at), Ok(tree)) = (next(), next(), next(), next()) else { return };
    let organization = OrganizationId::from_random([1; 16]);
    let (counted, quota) = (Default::default(), Default::default());
    let folder = View { at: at.clone(), tree: tree.clone(), counted, quota };
    let chroot = Chroot::new(organization.clone(), mount, home.clone()).with_folders([folder]);
    let Ok(from) = next() else { return };
    let Ok(path) = from.resolve_bytes(parts.next().unwrap_or_default()) else { return };
    assert!(VPath::parse(&path.to_string()).is_ok_and(|again| again == path), "a path is what its text is");
    if let Some(name) = path.name() {
        lines(name);
    }
    match chroot.locate(&path) {
        Ok(Located::Inside(place)) => {
            let under = |folder: &VPath, key: &str| {
                let folder = folder.to_string();
                key.starts_with(&format!("{organization}/files{}/", folder.trim_end_matches('/')))
            };
            let keys = [Some(place.folder_key()), place.file_key()];
            for key in keys.iter().flatten() {
                assert!(under(&home, key.as_str()) || under(&tree, key.as_str()), "{path} leads outside: {key:?}");
                assert!(!key.as_str().contains("//") && !key.as_str().contains("/../") && key.as_str().len() <= 1024);
            }
        }
        Ok(Located::Above(names)) => {
            assert!(!names.is_empty() && names == chroot.mounted_in(&path));
        }
        Ok(Located::Nowhere) | Err(_) => assert!(chroot.mounted_in(&path).is_empty()),
    }
});

fn lines(name: &str) {
    let now = Timestamp::from_millis(1_700_000_000_000);
    for kind in [EntryKind::File, EntryKind::Folder] {
        let entry = Entry { name: name.to_owned(), kind, bytes: 5, modified: now };
        for form in [Form::Long(now), Form::Names(String::new()), Form::Facts(Facts::default())] {
            let mut out = Vec::new();
            form.put(&mut out, &entry);
            let line = String::from_utf8(out).unwrap_or_default();
            let Some(line) = line.strip_suffix("\r\n") else { panic!("no line: {line:?}") };
            assert!(line.ends_with(name) && !line.contains(char::is_control), "{line:?}");
        }
    }
}
