use super::*;
use std::collections::BTreeMap;

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

fn principal(permissions: Permissions, mount: &str) -> Principal {
    let organization = OrganizationId::from_random([7; 16]);
    Principal {
        organization: organization.clone(),
        credential: CredentialId::from_random([7; 15]),
        user_name: "ana".into(),
        chroot: Chroot::new(organization, path(mount), path("/home/ana")),
        permissions,
        api_key: None,
        link: None,
        system: false,
        quota: crate::quota::Quota::default(),
        organization_quota: crate::quota::Quota::default(),
        bandwidth: crate::bandwidth::Bandwidth::default(),
    }
}

fn level(level: Level) -> Principal {
    principal(Permissions::from_level(level).unwrap(), "/")
}

#[test]
fn levels_stand_for_the_verbs_of_the_table() {
    let table = [
        (Level::None, vec![]),
        (Level::ReadOnly, vec!["list", "download"]),
        (Level::WriteOnly, vec!["list", "upload", "create_dirs"]),
        (Level::ReadWriteNoDelete, vec!["rename", "list", "download", "upload", "overwrite", "create_dirs"]),
        (
            Level::ReadWrite,
            vec!["rename", "delete", "list", "download", "upload", "overwrite", "create_dirs", "copy", "chtimes"],
        ),
        (Level::Full, vec!["*"]),
    ];
    for (level, names) in table {
        let permissions = Permissions::from_level(level).unwrap();
        assert_eq!(permissions.at(&path("/any")).names(), names, "{level:?}");
        assert_eq!(permissions.level(), level);
        assert_eq!(Verbs::parse(&names).unwrap(), permissions.at(&VPath::root()));
    }
    assert!(Permissions::from_level(Level::None).unwrap().permit_nothing());
    assert_eq!(Verbs::parse(&["lst"]), Err(Verbs::parse(&["lst"]).unwrap_err()));
    assert_eq!(Permissions::everywhere(Verbs::of(&[Verb::List])).level(), Level::Custom);
}

#[test]
fn a_level_allows_what_it_says_and_no_more() {
    let file = path("/in/a.txt");
    let read = level(Level::ReadOnly);
    assert!(authorize(&read, Download, &file).is_ok());
    assert_eq!(authorize_upload(&read, &file).unwrap_err().kind(), FileErrorKind::PermissionDenied);
    assert_eq!(authorize(&read, DeleteFile, &file).unwrap_err().kind(), FileErrorKind::PermissionDenied);
    let write = level(Level::WriteOnly);
    assert!(!authorize_upload(&write, &file).unwrap().action().may_replace());
    assert_eq!(authorize(&write, Download, &file).unwrap_err().kind(), FileErrorKind::PermissionDenied);
    let edit = level(Level::ReadWriteNoDelete);
    assert!(authorize_upload(&edit, &file).unwrap().action().may_replace());
    assert!(authorize_rename(&edit, RenameFile, &file, &path("/out/a.txt")).is_ok());
    assert_eq!(authorize(&edit, DeleteFile, &file).unwrap_err().kind(), FileErrorKind::PermissionDenied);
}

#[test]
fn the_deepest_rule_counts_and_protects_what_is_inside() {
    let rules = BTreeMap::from([
        (path("/"), Verbs::ALL),
        (path("/in"), Verbs::of(&[Verb::List])),
        (path("/in/drop"), Verbs::of(&[Verb::Upload])),
    ]);
    let ana = principal(Permissions::by_folder(rules), "/");
    assert!(authorize(&ana, Download, &path("/x")).is_ok());
    assert!(authorize(&ana, Download, &path("/in/x")).is_err());
    assert!(authorize_upload(&ana, &path("/in/drop/x")).is_ok());
    assert!(show(&ana, List, &path("/in")).is_ok());
    assert!(show(&ana, List, &path("/in/drop")).is_err());
    assert!(authorize(&ana, RenameFolder, &path("/in")).is_ok());
    assert!(authorize_rename(&ana, RenameFolder, &path("/in"), &path("/out")).is_err());
    assert!(authorize_rename(&ana, RenameFolder, &path("/other"), &path("/out")).is_ok());
}

#[test]
fn above_the_mount_point_nothing_can_be_changed_and_nothing_else_is_there() {
    let ana = principal(Permissions::everywhere(Verbs::ALL), "/ventas");
    assert!(matches!(show(&ana, List, &VPath::root()), Ok(Shown::Above(names)) if names[0].as_str() == "ventas"));
    // the root is not ours, and a sibling of the mount point looks like nothing at all, whatever is asked
    assert_eq!(authorize(&ana, MakeFolder, &path("/x")).unwrap_err().kind(), FileErrorKind::NoSuchFile);
    assert_eq!(authorize_upload(&ana, &path("/x")).unwrap_err().kind(), FileErrorKind::NoSuchFile);
    assert_eq!(authorize(&ana, DeleteFolder, &VPath::root()).unwrap_err().kind(), FileErrorKind::PermissionDenied);
    assert!(authorize(&ana, MakeFolder, &path("/ventas/x")).is_ok());
}
