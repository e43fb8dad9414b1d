use super::*;
use crate::event::ActorKind;

fn path(text: &str) -> VPath {
    VPath::parse(text).unwrap()
}

fn view(at: &str, tree: &str) -> View {
    View { at: path(at), tree: path(tree), counted: Counted::Credential, quota: Quota::default() }
}

fn owner(permissions: Permissions) -> Principal {
    let organization = OrganizationId::from_random([1; 16]);
    Principal {
        organization: organization.clone(),
        credential: CredentialId::from_random([2; 15]),
        user_name: "ana".into(),
        chroot: Chroot::new(organization, VPath::root(), path("/home/ana")).with_folders([view("/in/deep", "/common")]),
        permissions,
        api_key: None,
        link: None,
        system: false,
        quota: Quota::default(),
        organization_quota: Quota::default(),
        bandwidth: crate::bandwidth::Bandwidth::default(),
    }
}

fn shared(view: &str, tree: &str, target: Target) -> SharedPath {
    SharedPath { view: path(view), tree: path(tree), target: Some(target) }
}

fn share(access: Access, paths: Vec<SharedPath>) -> Share {
    let now = Timestamp::from_millis(0);
    Share {
        id: ShareId::from_random([3; 10]),
        organization: OrganizationId::from_random([1; 16]),
        owner: CredentialId::from_random([2; 15]),
        of_organization: false,
        created_by: CreatedBy { actor: Actor { kind: ActorKind::User, id: "ana".into() }, name: "ana".into() },
        name: String::new(),
        notes: None,
        access,
        paths,
        password: None,
        expires_at: None,
        limit: 0,
        allow_from: Vec::new(),
        state: State::Active,
        secret: Sealed::from_text(String::new()),
        secret_hash: String::new(),
        created_at: now,
        updated_at: now,
    }
}

fn visitor(share: &Share, owner: Principal) -> Option<Principal> {
    share.principal(owner, LinkUse { id: share.id.clone(), visit: "v".into(), user_agent: None })
}

fn tree(principal: &Principal, at: &str) -> Option<String> {
    match principal.chroot.locate(&path(at)).unwrap() {
        Located::Inside(location) => Some(location.tree_path().to_string()),
        Located::Above(_) | Located::Nowhere => None,
    }
}

#[test]
fn a_folder_is_the_visitors_root_with_what_is_mounted_in_it() {
    let link = share(Access::ReadWrite, vec![shared("/in", "/home/ana/in", Target::Folder)]);
    let visitor = visitor(&link, owner(Permissions::everywhere(Verbs::ALL))).unwrap();
    assert_eq!(tree(&visitor, "/").as_deref(), Some("/home/ana/in"));
    assert_eq!(tree(&visitor, "/a/b").as_deref(), Some("/home/ana/in/a/b"));
    assert_eq!(tree(&visitor, "/deep/x").as_deref(), Some("/common/x"));
    assert_eq!(visitor.permissions.at(&path("/a")), Access::ReadWrite.verbs());
    assert!(!visitor.permissions.at(&VPath::root()).allows(Verb::Share));
}

#[test]
fn a_link_never_does_what_its_owner_may_not_do_now() {
    let link = share(Access::ReadWrite, vec![shared("/in", "/home/ana/in", Target::Folder)]);
    // no longer `full`
    assert!(visitor(&link, owner(Permissions::from_level(Level::ReadWrite).unwrap())).is_none());
    // another home: the path leads elsewhere
    let full = || owner(Permissions::everywhere(Verbs::ALL));
    let moved = Chroot::new(link.organization.clone(), VPath::root(), path("/home/bo"));
    assert!(visitor(&link, Principal { chroot: moved, ..full() }).is_none());
    // a rule of its own inside
    let rules = [("/", Verbs::ALL), ("/in/private", Verbs::of(&[Verb::List]))];
    let rules = rules.into_iter().map(|(at, verbs)| (path(at), verbs)).collect();
    let visitor = visitor(&link, owner(Permissions::by_folder(rules))).unwrap();
    assert_eq!(visitor.permissions.at(&path("/private/x")), Verbs::of(&[Verb::List]));
    assert!(visitor.permissions.at(&path("/public")).allows(Verb::DeleteFiles));
}

#[test]
fn a_file_is_all_that_there_is() {
    let link = share(Access::ReadOnly, vec![shared("/a/x.txt", "/home/ana/a/x.txt", Target::File)]);
    let visitor = visitor(&link, owner(Permissions::everywhere(Verbs::ALL))).unwrap();
    assert_eq!(tree(&visitor, "/x.txt").as_deref(), Some("/home/ana/a/x.txt"));
    for outside in ["/", "/y.txt", "/x.txt/y", "/a/x.txt"] {
        assert_eq!(tree(&visitor, outside), None, "{outside}");
    }
    let Located::Inside(location) = visitor.chroot.locate(&path("/x.txt")).unwrap() else { panic!() };
    assert!(location.file_key().is_some());
    assert_eq!(link.file_name(), Some("x.txt"));
}

#[test]
fn several_paths_stand_side_by_side() {
    let paths = vec![
        shared("/a/x.txt", "/home/ana/a/x.txt", Target::File),
        shared("/b/x.txt", "/home/ana/b/x.txt", Target::File),
        shared("/in", "/home/ana/in", Target::Folder),
    ];
    let link = share(Access::ReadOnly, paths);
    assert_eq!(link.names(), ["x.txt", "x (2).txt", "in"]);
    let visitor = visitor(&link, owner(Permissions::everywhere(Verbs::ALL))).unwrap();
    assert_eq!(tree(&visitor, "/x (2).txt").as_deref(), Some("/home/ana/b/x.txt"));
    assert_eq!(tree(&visitor, "/in/deep/c").as_deref(), Some("/common/c"));
    assert_eq!(tree(&visitor, "/b"), None);
    assert!(visitor.permissions.at(&path("/in")).allows(Verb::List));
}

#[test]
fn a_link_of_the_organization_needs_no_rights_of_its_root() {
    let mut link = share(Access::ReadOnly, vec![shared("/any", "/any", Target::Folder)]);
    link.of_organization = true;
    let visitor = visitor(&link, owner(Permissions::everywhere(Verbs::NONE))).unwrap();
    assert_eq!(tree(&visitor, "/x").as_deref(), Some("/any/x"));
    assert_eq!(visitor.permissions.at(&VPath::root()), Access::ReadOnly.verbs());
}

#[test]
fn write_only_sees_nothing() {
    let verbs = Access::WriteOnly.verbs();
    for verb in [Verb::List, Verb::Download, Verb::Overwrite, Verb::DeleteFiles, Verb::RenameFiles, Verb::Share] {
        assert!(!verbs.allows(verb), "{verb:?}");
    }
}

#[test]
fn when_a_link_is_open() {
    let mut link = share(Access::ReadOnly, vec![shared("/in", "/home/ana/in", Target::Folder)]);
    let (now, here) = (Timestamp::from_millis(1000), "192.0.2.7".parse().unwrap());
    assert!(link.is_open(now, here));
    link.allow_from = vec![Source::parse("198.51.100.0/24").unwrap()];
    assert!(!link.is_open(now, here));
    link.allow_from.push(Source::parse("192.0.2.7").unwrap());
    assert!(link.is_open(now, here));
    link.expires_at = Some(now);
    assert!(!link.is_open(now, here) && link.is_open(now.plus_millis(-1), here));
    link.expires_at = None;
    link.state = State::Inactive;
    assert!(!link.is_open(now, here));
    assert!(!link.is_used_up(7));
    link.limit = 7;
    assert!(link.is_used_up(7) && !link.is_used_up(6));
}

#[test]
fn what_cannot_be_shared_together() {
    let file = shared("/x", "/x", Target::File);
    let folder = shared("/in", "/in", Target::Folder);
    assert!(share(Access::ReadOnly, vec![file.clone(), folder.clone()]).check().is_ok());
    assert!(share(Access::ReadWrite, vec![folder.clone()]).check().is_ok());
    for access in [Access::ReadWrite, Access::WriteOnly, Access::ReadWriteNoDelete] {
        assert!(share(access, vec![file.clone()]).check().is_err());
        assert!(share(access, vec![folder.clone(), folder.clone()]).check().is_err());
    }
    assert!(share(Access::ReadOnly, Vec::new()).check().is_err());
}

#[test]
fn the_organizations_policy() {
    let now = Timestamp::from_millis(1_000_000_000_000);
    let mut link = share(Access::ReadOnly, vec![shared("/in", "/in", Target::Folder)]);
    let policy = SharePolicy { password_required: false, max_days: 2 };
    assert!(link.check_policy(&policy, now).is_err_and(|(field, _)| field == "ExpiresAt"));
    link.expires_at = Some(now.plus_millis(2 * DAY_MILLIS));
    assert!(link.check_policy(&policy, now).is_ok());
    link.expires_at = Some(now.plus_millis(2 * DAY_MILLIS + 1));
    assert!(link.check_policy(&policy, now).is_err());
    let policy = SharePolicy { password_required: true, max_days: 0 };
    assert!(link.check_policy(&policy, now).is_err_and(|(field, _)| field == "Password"));
}

#[test]
fn a_secret_reads_back_and_nothing_else_is_one() {
    let secret = ShareSecret::from_random(&[200; SECRET_BYTES]);
    assert!(ShareSecret::parse(secret.reveal()).is_some_and(|again| again.hash() == secret.hash()));
    assert!(secret.reveal().len() * 6 >= 128);
    for bad in ["", "a", "../../etc/passwd", "AAAA", &"A".repeat(25), &"A".repeat(4000), "üüüüüüüüüüüü"] {
        assert!(ShareSecret::parse(bad).is_none(), "{bad}");
    }
}
