use std::collections::HashMap;

use http::Request;

use super::super::passwords::Users;
use super::super::request::Connection;
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

const HERE: Connection = Connection { peer: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), own: LISTENER, is_tls: false };

const LISTENER: std::net::SocketAddr = std::net::SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8001);

/// With a user `me` of this password.
fn rules(password: &str, admins: &[&str]) -> Arc<Rules> {
    let hashes = HashMap::from([("me".to_owned(), bcrypt::hash(password, 4).expect("a hash"))]);
    let users = Users::new(hashes).expect("hashes");
    Arc::new(Rules { users, admins: admins.iter().map(|name| (*name).to_owned()).collect(), ..Rules::default() })
}

fn request(fields: &[(&str, &str)]) -> Request<()> {
    let build = Request::builder().uri("/dashboard/stats").header("host", "localhost");
    fields.iter().fold(build, |build, (name, value)| build.header(*name, *value)).body(()).expect("a request")
}

async fn admit(gate: &Gate, fields: &[(&str, &str)]) -> Result<Identity, Denial> {
    gate.admit(&Asker::of(&request(fields), HERE)).await
}

/// `me:right`
const RIGHT: (&str, &str) = ("authorization", "Basic bWU6cmlnaHQ=");

/// Fails where it does not end.
async fn ends(gate: &Gate, identity: &Identity) {
    tokio::time::timeout(PATIENCE, gate.ended(identity)).await.expect("it ends");
}

async fn goes_on(gate: &Gate, identity: &Identity) -> bool {
    let mut ended = std::pin::pin!(gate.ended(identity));
    std::future::poll_fn(|cx| std::task::Poll::Ready(ended.as_mut().poll(cx).is_pending())).await
}

#[tokio::test]
async fn a_connection_that_lives_long_ends_with_its_session_and_no_other() {
    let (sender, receiver) = watch::channel(rules("right", &[]));
    let gate = Gate::new(receiver, Journal::default());
    let identity = admit(&gate, &[RIGHT]).await.expect("it is right");
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let begun = gate.begin_session(&identity).expect("random");
        let cookie = begun.cookie.to_str().expect("text").split(';').next().expect("a pair").to_owned();
        sessions.push(admit(&gate, &[("cookie", &cookie)]).await.expect("a session"));
    }
    assert_eq!(gate.status().sessions, 2);
    let waits = ends(&gate, &sessions[0]);
    let ((), _) = tokio::join!(waits, async { gate.end_session(&sessions[0]) });
    assert!(goes_on(&gate, &sessions[1]).await && goes_on(&gate, &identity).await);
    // Another hash of the same password is another password.
    sender.send_replace(rules("right", &[]));
    ends(&gate, &sessions[1]).await;
    ends(&gate, &identity).await;
}

#[tokio::test]
async fn a_connection_that_lives_long_ends_when_its_identity_expires() {
    let (_sender, receiver) = watch::channel(rules("right", &[]));
    let gate = Gate::new(receiver, Journal::default());
    let identity = admit(&gate, &[RIGHT]).await.expect("it is right");
    assert!(goes_on(&gate, &identity).await);
    let soon = Identity { expires: Some(SystemTime::now() + Duration::from_millis(30)), ..identity.clone() };
    ends(&gate, &soon).await;
    assert!(!gate.holds(&soon) && gate.holds(&identity));
}

#[tokio::test]
async fn a_session_may_at_once_what_a_reload_permits() {
    let first = rules("right", &[]);
    let hash = first.users.as_ref().and_then(|users| users.hash_of("me")).expect("a hash").to_owned();
    let (sender, receiver) = watch::channel(first);
    let gate = Gate::new(receiver, Journal::default());
    let identity = admit(&gate, &[RIGHT]).await.expect("it is right");
    let begun = gate.begin_session(&identity).expect("random");
    let cookie = begun.cookie.to_str().expect("text").split(';').next().expect("a pair").to_owned();
    let may_change = async || admit(&gate, &[("cookie", &cookie)]).await.map(|it| it.may(Scope::DashboardAdmin));
    assert_eq!(may_change().await, Ok(false));
    let users = Users::new(HashMap::from([("me".to_owned(), hash)])).expect("hashes");
    sender.send_replace(Arc::new(Rules { users, admins: ["me".to_owned()].into(), ..Rules::default() }));
    assert_eq!(may_change().await, Ok(true));
}

#[tokio::test]
async fn refused_and_limited_requests_are_counted_for_an_hour() {
    let most = std::num::NonZeroU32::new(3).expect("above zero");
    let mut few = Rules { limits: Limits { per_ten_seconds: most, ..Limits::default() }, ..Rules::default() };
    few.users =
        Users::new(HashMap::from([("me".to_owned(), bcrypt::hash("right", 4).expect("a hash"))])).expect("hashes");
    let (_sender, receiver) = watch::channel(Arc::new(few));
    let gate = Gate::new(receiver, Journal::default());
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(admit(&gate, &[RIGHT]).await.is_ok());
    }
    assert_eq!(answers[..3], [true; 3]);
    assert!(admit(&gate, &[("authorization", "Bearer x")]).await.is_err());
    let status = gate.status();
    assert_eq!((status.refused_last_hour, status.holders, status.permissions), (1, 1, 1));
    assert!((1..=2).contains(&status.limited_last_hour), "{status:?}");
    assert_eq!(status.means, [Means::Password]);
}
