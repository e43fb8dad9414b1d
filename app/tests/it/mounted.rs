//! Virtual folders: parts of the organization's tree in a session's view.

use crate::world::{WHOLE, World, content, get, names, path, put};
use app::vfs::{EntryKind, FileSession};
use domain::access::Level;
use domain::file_error::FileErrorKind::{
    AlreadyExists, BadRequest, FolderNotEmpty, IsAFolder, NoSuchFile, PermissionDenied,
};
use domain::folder::FolderName;
use domain::path::View;
use domain::quota::{Counted, Quota};

/// A home at `/home/ana` with these folders.
fn session(world: &World, mount: &str, folders: &[(&str, &str)]) -> FileSession {
    let counted = || Counted::Both(FolderName::parse("shared").unwrap());
    let view = |at, tree| View { at: path(at), tree: path(tree), counted: counted(), quota: Quota::default() };
    let views = folders.iter().map(|(at, tree)| view(at, tree));
    world.session_seeing(mount, views)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_folder_is_a_folder_like_any_other() {
    let world = World::start().await;
    let ana = session(&world, "/", &[("/in/box", "/shared/in"), ("/out", "/shared/out")]);
    let ben = session(&world, "/ventas", &[("/shared", "/shared")]);
    // there before anything is in it, in listings of real folders and of ones that are only there for it
    assert_eq!(names(&ana, "/").await.unwrap(), ["in", "out"]);
    assert_eq!(names(&ana, "/in").await.unwrap(), ["box"]);
    assert_eq!(names(&ana, "/in/box").await.unwrap(), [""; 0]);
    assert_eq!(names(&ben, "/").await.unwrap(), ["shared", "ventas"]);
    for at in ["/in", "/in/box", "/out"] {
        assert_eq!(ana.stat(&path(at)).await.unwrap().kind, EntryKind::Folder, "{at}");
    }
    put(&ana, "/in/box/a", &content(5), WHOLE).await.unwrap();
    put(&ana, "/in/b", &content(6), WHOLE).await.unwrap();
    put(&ana, "/out/large", &content(9 << 20), WHOLE).await.unwrap();
    assert_eq!(names(&ana, "/in").await.unwrap(), ["b", "box"]);
    assert_eq!(get(&ben, "/shared/in/a").await.unwrap(), content(5));
    assert_eq!(names(&ben, "/shared").await.unwrap(), ["in", "out"]);
    let keys: Vec<String> = world.keys().await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["home/ana/in/b", "shared/in/a", "shared/out/large"]);
    // across folders, and back
    ana.rename(&path("/out/large"), &path("/in/box/large"), false).await.unwrap();
    ana.make_folder(&path("/in/box/d")).await.unwrap();
    put(&ana, "/in/box/d/e", &content(7), WHOLE).await.unwrap();
    ana.rename(&path("/in/box/d"), &path("/d"), false).await.unwrap();
    assert_eq!(get(&ana, "/d/e").await.unwrap(), content(7));
    assert_eq!(get(&ben, "/shared/in/large").await.unwrap(), content(9 << 20));
    assert_eq!(ben.stat(&path("/shared/in/d")).await.unwrap_err().kind(), NoSuchFile);
    // counted for who wrote it, announced where it lies
    assert_eq!(world.usage().await.bytes, 5 + 6 + 7 + (9 << 20));
    let announced = world.announced().await;
    assert!(announced.contains(&"file.created /shared/in/a 5".to_owned()), "{announced:?}");
    world.nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_folder_stays_where_it_is() {
    let world = World::start().await;
    let ana = session(&world, "/", &[("/in/box", "/shared/in")]);
    put(&ana, "/f", &content(1), WHOLE).await.unwrap();
    let rename = async |from: &str, to: &str| ana.rename(&path(from), &path(to), true).await.map_err(|e| e.kind());
    for (from, to, why) in [
        ("/in/box", "/x", PermissionDenied),
        ("/in", "/x", PermissionDenied),
        ("/f", "/in/box", PermissionDenied),
        ("/f", "/in", AlreadyExists),
    ] {
        assert_eq!(rename(from, to).await, Err(why), "{from} to {to}");
    }
    assert_eq!(ana.delete_folder(&path("/in/box")).await.unwrap_err().kind(), PermissionDenied);
    assert_eq!(ana.delete_folder(&path("/in")).await.unwrap_err().kind(), FolderNotEmpty);
    for at in ["/in", "/in/box"] {
        assert_eq!(ana.make_folder(&path(at)).await.unwrap_err().kind(), AlreadyExists, "{at}");
    }
    assert_eq!(put(&ana, "/in/box", &content(1), WHOLE).await, Err(IsAFolder));
    assert_eq!(get(&ana, "/in/box").await, Err(IsAFolder));
    assert_eq!(ana.delete_file(&path("/in/box")).await.unwrap_err().kind(), IsAFolder);
    assert_eq!(get(&ana, "/f").await.unwrap(), content(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_folder_hides_what_has_its_name() {
    let world = World::start().await;
    let plain = world.session(Level::Full);
    put(&plain, "/in/hidden", &content(1), WHOLE).await.unwrap();
    put(&plain, "/in2", &content(2), WHOLE).await.unwrap();
    put(&plain, "/out", &content(3), WHOLE).await.unwrap();
    let ana = session(&world, "/", &[("/in", "/shared/in"), ("/out/deep", "/shared/out")]);
    assert_eq!(names(&ana, "/").await.unwrap(), ["in", "in2", "out"]);
    assert_eq!(names(&ana, "/in").await.unwrap(), [""; 0]);
    assert_eq!(ana.stat(&path("/out")).await.unwrap().kind, EntryKind::Folder, "as the listing says");
    assert_eq!(get(&ana, "/in/hidden").await, Err(NoSuchFile));
    assert_eq!(get(&plain, "/in/hidden").await.unwrap(), content(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_names_of_one_file_are_one_file() {
    let world = World::start().await;
    // the home once more, and what is above it
    let ana = session(&world, "/", &[("/again", "/home/ana"), ("/all", "/")]);
    put(&ana, "/a", &content(4), WHOLE).await.unwrap();
    put(&ana, "/d/b", &content(5), WHOLE).await.unwrap();
    for to in ["/again/a", "/all/home/ana/a"] {
        ana.rename(&path("/a"), &path(to), true).await.unwrap();
        assert_eq!(get(&ana, "/a").await.unwrap(), content(4), "{to}");
    }
    ana.rename(&path("/d"), &path("/again/d"), false).await.unwrap();
    assert_eq!(get(&ana, "/d/b").await.unwrap(), content(5));
    let into = ana.rename(&path("/d"), &path("/again/d/e"), false).await;
    assert_eq!(into.unwrap_err().kind(), BadRequest);
    assert_eq!(world.usage().await.bytes, 9);
    world.nothing_left().await;
}
