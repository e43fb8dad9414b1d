//! Organizations, for the operator.

use crate::rest::with;
use crate::support::World;
use serde_json::{Value, json};

const NONE: Value = Value::Null;

#[tokio::test]
async fn the_operator_makes_organizations_that_work_and_deletes_empty_ones() {
    let world = World::start().await;
    let operator = world.admin_token("operator", &world.secrets.operator_password).await;
    let call = async |token: &str, method: &str, rest: &str, body: &Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        with(&world.router, token, method, &format!("/organizations{rest}"), &body).await
    };
    let made = call(&operator, "POST", "", &json!({"Name": "Acme", "AdminUserName": "acme-admin"})).await.expect(201);
    let (id, password) = (made.text("/Id"), made.text("/AdminPassword"));
    assert_eq!(made.body["Settings"]["Network"]["InboundRules"].as_array().unwrap().len(), 2);
    // its admin may do everything in it, and sees nothing else
    let admin = world.admin_token("acme-admin", &password).await;
    let users = call(&admin, "GET", &format!("/{id}/users"), &NONE).await.expect(200);
    assert_eq!((users.text("/0/UserName"), &users.body[0]["IsDefault"]), (made.text("/UserName"), &json!(true)));
    world.user_token(&users.text("/0/UserName"), &users.text("/0/Password")).await;
    let mut shown = call(&admin, "GET", &format!("/{id}"), &NONE).await.expect(200).body;
    for name in ["AdminUserName", "AdminPassword", "UserName"] {
        shown[name] = made.body[name].clone();
    }
    assert_eq!(shown, made.body);
    call(&admin, "GET", &format!("/{}/users", world.organization), &NONE).await.expect(404);
    let created = world.b(&admin, "POST", "/users", &json!({"username": "ana", "permissions": {"/": ["*"]}})).await;
    created.expect(201);
    world.own("GET", "/api/v2/users/ana", "").await.expect(404);

    // the three of them, page by page
    let all = call(&operator, "GET", "", &NONE).await.expect(200);
    assert!(!all.body.to_string().contains(&password));
    let mut names: Vec<&str> = all.body.as_array().unwrap().iter().map(|one| one["Name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Acme", "Test", "operator"]);
    let page = call(&operator, "GET", "?Limit=2", &NONE).await.expect(200);
    let next = page.header("link").trim_start_matches("</organizations").split('>').next().unwrap().to_owned();
    let rest = call(&operator, "GET", &next, &NONE).await.expect(200);
    assert_eq!((page.body.as_array().unwrap().len(), rest.body.as_array().unwrap().len()), (2, 1));

    // names are the deployment's, and nothing is made by halves
    for (body, status) in [
        (json!({"Name": "x", "AdminUserName": "acme-admin"}), 409),
        (json!({"Name": "x", "UserName": "root-user-name"}), 409),
        (json!({"Name": "x", "UserName": "short"}), 400),
        (json!({"Name": "x", "AdminPassword": "short"}), 400),
        (json!({"AdminUserName": "y"}), 400),
        (json!({"Name": "x", "Id": id}), 400),
    ] {
        call(&operator, "POST", "", &body).await.expect(status);
    }
    assert_eq!(call(&operator, "GET", "", &NONE).await.body.as_array().unwrap().len(), 3);

    // what is in it keeps it
    let delete = async || call(&operator, "DELETE", &format!("/{id}"), &NONE).await;
    assert!(delete().await.expect(409).text("/error/message").contains("credentials"));
    world.b(&admin, "DELETE", "/users/ana", &NONE).await.expect(200);
    world.b(&admin, "POST", "/folders", &json!({"name": "f"})).await.expect(201);
    assert!(delete().await.expect(409).text("/error/message").contains("folders"));
    world.b(&admin, "DELETE", "/folders/f", &NONE).await.expect(200);
    let key = call(&admin, "POST", &format!("/{id}/api-keys"), &json!({"Name": "k"})).await.expect(201).text("/Id");
    assert!(delete().await.expect(409).text("/error/message").contains("API keys"));
    call(&admin, "DELETE", &format!("/{id}/api-keys/{key}"), &NONE).await.expect(200);
    world.b(&admin, "GET", "/users", &NONE).await.expect(200);
    assert_eq!(delete().await.expect(200).text("/Name"), "Acme");
    delete().await.expect(404);
    world.b(&admin, "GET", "/users", &NONE).await.expect(401);
    assert_eq!(call(&operator, "GET", "", &NONE).await.body.as_array().unwrap().len(), 2);
    // its names are free again
    call(
        &operator,
        "POST",
        "",
        &json!({"Name": "Acme", "AdminUserName": "acme-admin", "AdminPassword": "a long password 1"}),
    )
    .await
    .expect(201);
    world.admin_token("acme-admin", "a long password 1").await;
}

#[tokio::test]
async fn nobody_else_sees_or_makes_organizations() {
    let world = World::start().await;
    let full = world.first_admin().await;
    let operator = world.admin_token("operator", &world.secrets.operator_password).await;
    let own = world.b(&operator, "GET", "/admins/operator", &NONE).await.expect(200);
    assert_eq!(own.text("/username"), "operator");
    let helper =
        json!({"username": "helper", "password": "a long password 1", "permissions": ["view_status", "manage_system"]});
    world.b(&operator, "POST", "/admins", &helper).await.expect(201);
    let helper = world.admin_token("helper", "a long password 1").await;
    let test = format!("/organizations/{}", world.organization);
    let body = r#"{"Name":"x"}"#;
    for (token, see, change) in [(&full, 404, 404), (&helper, 200, 403)] {
        with(&world.router, token, "GET", "/organizations", "").await.expect(see);
        with(&world.router, token, "POST", "/organizations", body).await.expect(change);
        with(&world.router, token, "DELETE", &test, "").await.expect(change);
    }
    let headers = [("x-api-key", world.secrets.api_key.as_str())];
    for (method, path) in [("GET", "/organizations"), ("POST", "/organizations"), ("DELETE", test.as_str())] {
        crate::support::send(&world.router, method, path, body, &headers).await.expect(404);
    }
    // what is not empty stays, and so does the operator's own
    with(&world.router, &operator, "DELETE", &test, "").await.expect(409);
    let all = with(&world.router, &operator, "GET", "/organizations", "").await.expect(200);
    let all = all.body.as_array().unwrap().clone();
    let id = all.iter().find(|one| one["Name"] == "operator").unwrap()["Id"].as_str().unwrap();
    with(&world.router, &operator, "DELETE", &format!("/organizations/{id}"), "").await.expect(409);
    with(&world.router, &operator, "DELETE", "/organizations/nonsense", "").await.expect(404);
}
