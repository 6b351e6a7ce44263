//! Decides whether a request is answered, and as whose.

pub(super) mod sessions;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::denial::{Challenge, Denial, Fault};
use super::identity::{Identity, Means, Proof};
use super::limits::{Limits, RequestLimiter};
use super::network;
use super::passwords::{CredentialCheck, Users, Verifier};
use super::paths;
use super::request::{Area, Asker, Given};
use super::rules::Rules;
use super::scope::{Scope, Scopes};
use super::sign_ins::{Refusal, SignIns, product_of};
use super::tally::Tally;
use super::vault::Vault;
use crate::history::journal::Journal;

/// How long a session lasts at most.
const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// How long a ticket can be used.
const TICKET: Duration = Duration::from_secs(30);

/// Sessions, and tickets, at once.
const MAX_SECRETS: usize = 1_024;

/// Bodies with credentials that are waited for at once: far fewer than there are connections, as one that is waited for
/// holds its connection.
const MAX_BODIES: usize = 64;

/// One instant on both clocks.
#[derive(Clone, Copy)]
struct Now {
    instant: Instant,
    wall: SystemTime,
}

impl Now {
    fn read() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }
}

/// Decides about requests. Sessions, and what is known of attempts, outlive a change of the rules.
pub struct Gate {
    rules: watch::Receiver<Arc<Rules>>,
    passwords: Verifier,
    sessions: Vault<Identity>,
    tickets: Vault<Identity>,
    /// Changes with each session that is ended.
    signed_out: watch::Sender<()>,
    requests: RequestLimiter,
    sign_ins: SignIns,
    refused: Tally,
    limited: Tally,
    /// Sign-ins that were refused since the start, in the order of [`Refusal::ALL`].
    refusals: [AtomicU64; Refusal::ALL.len()],
    rate_limited: AtomicU64,
    bodies: Semaphore,
}

/// How the gate is doing.
#[derive(Clone, Debug)]
pub struct GateStatus {
    /// The credentials that are accepted.
    pub means: Vec<Means>,
    /// Sessions in force.
    pub sessions: usize,
    /// Sign-ins that were refused in the last hour.
    pub refused_last_hour: u64,
    /// Requests of the last hour that were too many.
    pub limited_last_hour: u64,
    /// Users, and API keys that have not expired.
    pub holders: usize,
    /// Scopes that are given to them, each counted.
    pub permissions: usize,
    /// Requests that are answered.
    pub limits: Limits,
}

impl Gate {
    /// Reports sign-ins to `journal`.
    #[must_use]
    pub fn new(rules: watch::Receiver<Arc<Rules>>, journal: Journal) -> Self {
        let limits = rules.borrow().limits;
        let now = Instant::now();
        Self {
            rules,
            passwords: Verifier::default(),
            sessions: Vault::new(SESSION, MAX_SECRETS),
            tickets: Vault::new(TICKET, MAX_SECRETS),
            signed_out: watch::Sender::new(()),
            requests: RequestLimiter::new(limits),
            sign_ins: SignIns::new(journal),
            refused: Tally::new(now),
            limited: Tally::new(now),
            refusals: Default::default(),
            rate_limited: AtomicU64::default(),
            bodies: Semaphore::new(MAX_BODIES),
        }
    }

    /// Whether a request is answered. Charges an attempt for wrong credentials, and counts requests to the API.
    ///
    /// # Errors
    /// When it is not.
    pub async fn admit(&self, asker: &Asker<'_>) -> Result<Identity, Denial> {
        let (rules, area, now) = (self.rules(), asker.area(), Now::read());
        let client = network::client(asker.connection.peer, asker.headers, &rules.trusted_proxies);
        let is_api = matches!(area, Area::Api | Area::Session);
        if is_api {
            check_origin(asker)?;
        }
        if area == Area::Probe || (area == Area::Metrics && rules.users.is_none()) {
            return Ok(Identity::stranger(asker, client));
        }
        let identity = self.identify(&rules, asker, client, now).await?;
        if is_api {
            self.requests.count(identity.holder(), identity.is_session(), rules.limits).map_err(|wait| {
                self.limited.add(now.instant);
                self.rate_limited.fetch_add(1, Relaxed);
                Denial::RateLimited(wait)
            })?;
        }
        match required(asker, area) {
            Some(required) if !identity.may(required) => Err(Denial::NotPermitted { required, has: identity.scopes }),
            _ => Ok(identity),
        }
    }

    async fn identify(&self, rules: &Rules, asker: &Asker<'_>, client: IpAddr, now: Now) -> Result<Identity, Denial> {
        let here = |identity| Identity { client, has_plain_cookie: asker.has_plain_cookie(), ..identity };
        let (found, fault) = match asker.given() {
            Given::Authorization(field) if rules.has_credentials() => {
                return self.check(rules, &field, asker, client, now).await;
            }
            Given::Ambiguous if rules.has_credentials() => return Err(self.refuse(rules, asker, client, now)),
            Given::Ticket(ticket) => {
                (self.tickets.take(&ticket, now.instant).and_then(|found| rules.still(found, now.wall)), Fault::Expired)
            }
            Given::Cookie(cookie) => (self.session(rules, &cookie, now), Fault::Expired),
            _ => (None, Fault::Missing),
        };
        // The body of such a request brings the credentials.
        let signs_in = asker.area() == Area::Session && !asker.is_read();
        match found {
            Some(identity) => Ok(here(identity)),
            None if !rules.has_credentials() => anyone(rules, asker, client),
            None if signs_in => Ok(Identity::stranger(asker, client)),
            None => Err(Denial::Unauthenticated(fault, challenge(rules, asker))),
        }
    }

    fn session(&self, rules: &Rules, cookie: &str, now: Now) -> Option<Identity> {
        let (digest, identity) = self.sessions.find(cookie, now.instant)?;
        rules.still(identity, now.wall).map(|identity| Identity { session: Some(digest), ..identity })
    }

    /// Held while a body with credentials is waited for; `None` where too many are.
    #[must_use]
    pub fn room_for_body(&self) -> Option<SemaphorePermit<'_>> {
        self.bodies.try_acquire().ok()
    }

    /// Checks credentials that the body of a request brings, as if they had come in its field `Authorization`.
    ///
    /// # Errors
    /// When they are not accepted.
    pub async fn sign_in(&self, field: &HeaderValue, asker: &Asker<'_>) -> Result<Identity, Denial> {
        let rules = self.rules();
        let client = network::client(asker.connection.peer, asker.headers, &rules.trusted_proxies);
        self.check(&rules, field, asker, client, Now::read()).await
    }

    async fn check(
        &self,
        rules: &Rules,
        field: &HeaderValue,
        asker: &Asker<'_>,
        client: IpAddr,
        now: Now,
    ) -> Result<Identity, Denial> {
        let bearer = field.to_str().ok().and_then(|field| field.split_once(' '));
        let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        let identity = Identity::stranger(asker, client);
        let identity = match (bearer, &rules.users) {
            (Some(token), _) => match rules.bearer(token, identity, now.wall) {
                Ok(identity) => identity,
                Err(Fault::Expired) => {
                    self.note(None, client, Refusal::Expired, now);
                    return Err(Denial::Unauthenticated(Fault::Expired, challenge(rules, asker)));
                }
                Err(_) => return Err(self.refuse(rules, asker, client, now)),
            },
            (None, Some(users)) => self.check_password(rules, users, field, asker, identity, now).await?,
            (None, None) => return Err(self.refuse(rules, asker, client, now)),
        };
        let product = product_of(asker.headers);
        if let Some(name) = &identity.name {
            self.sign_ins.accept(identity.means(), name.clone(), client, product, now.instant);
        }
        Ok(identity)
    }

    async fn check_password(
        &self,
        rules: &Rules,
        users: &Users,
        field: &HeaderValue,
        asker: &Asker<'_>,
        identity: Identity,
        now: Now,
    ) -> Result<Identity, Denial> {
        let (user, client) = (users.named_in(field), identity.client);
        match (self.passwords.verify(users, field, identity.client).await, user) {
            (CredentialCheck::Right, Some(user)) => Ok(rules.user(users, user, identity)),
            (CredentialCheck::TooMany(wait), user) => {
                self.note(user, client, Refusal::TooManyAttempts, now);
                Err(Denial::TooManyAttempts(wait))
            }
            (_, user) => {
                self.note(user, client, Refusal::WrongPassword, now);
                Err(Denial::Unauthenticated(Fault::Wrong, challenge(rules, asker)))
            }
        }
    }

    /// Charges an attempt for credentials that are no user's password.
    fn refuse(&self, rules: &Rules, asker: &Asker<'_>, client: IpAddr, now: Now) -> Denial {
        match self.passwords.charge(client, now.instant) {
            Ok(()) => {
                self.note(None, client, Refusal::WrongToken, now);
                Denial::Unauthenticated(Fault::Wrong, challenge(rules, asker))
            }
            Err(wait) => {
                self.note(None, client, Refusal::TooManyAttempts, now);
                Denial::TooManyAttempts(wait)
            }
        }
    }

    /// `user` is known to the configuration, or `None`: another name may be anything.
    fn note(&self, user: Option<Arc<str>>, client: IpAddr, why: Refusal, now: Now) {
        self.refused.add(now.instant);
        self.refusals[why as usize].fetch_add(1, Relaxed);
        self.sign_ins.refuse(user, client, why, now.instant);
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> GateStatus {
        let (rules, now) = (self.rules(), Instant::now());
        let (holders, permissions) = rules.given(SystemTime::now());
        GateStatus {
            means: rules.means(),
            sessions: self.sessions.count(now),
            refused_last_hour: self.refused.sum(now),
            limited_last_hour: self.limited.sum(now),
            holders,
            permissions,
            limits: rules.limits,
        }
    }

    /// Requests that were refused since the start, by why: the credentials, or too many.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let sign_ins = Refusal::ALL.into_iter().zip(&self.refusals);
        let sign_ins = sign_ins.map(|(why, count)| (why.as_str(), count.load(Relaxed)));
        sign_ins.chain([("rate_limited", self.rate_limited.load(Relaxed))])
    }

    fn rules(&self) -> Arc<Rules> {
        self.rules.borrow().clone()
    }
}

/// Refuses what a page of another site may have sent: of requests that change something, all that do not come from our
/// own page or from a program; of WebSockets, which no browser keeps to their site, those with a foreign origin.
fn check_origin(asker: &Asker<'_>) -> Result<(), Denial> {
    if asker.is_websocket() && asker.is_foreign_socket() {
        return Err(Denial::CrossSite);
    }
    if asker.is_read() || !asker.is_cross_site() { Ok(()) } else { Err(Denial::CrossSite) }
}

/// The scope that a request needs. A method that is not known to be harmless needs the highest.
fn required(asker: &Asker<'_>, area: Area) -> Option<Scope> {
    match area {
        Area::Probe | Area::Session => None,
        Area::Api if !asker.is_read() && asker.uri.path() != paths::WS_TICKET => Some(Scope::DashboardAdmin),
        Area::Metrics | Area::Page | Area::Api => Some(Scope::DashboardRead),
    }
}

fn challenge(rules: &Rules, asker: &Asker<'_>) -> Challenge {
    // A browser asks the person by itself for a password, which the page's own requests must not cause.
    let basic = rules.users.is_some() && (asker.area() != Area::Api || !asker.is_fetched());
    Challenge { basic, bearer: rules.keys.is_some() || rules.tokens.is_some() }
}

/// Where no credentials are configured.
fn anyone(rules: &Rules, asker: &Asker<'_>, client: IpAddr) -> Result<Identity, Denial> {
    let read = Scopes::from_iter([Scope::DashboardRead]);
    let (proof, scopes) = match (rules.needs_certificate, asker.is_local(), asker.area()) {
        (true, ..) => (Proof::Certificate, read),
        // From this machine itself, and not for another one.
        (_, true, _) => (Proof::Open, if client.is_loopback() { Scopes::all() } else { read }),
        (_, false, Area::Metrics) => (Proof::Open, read),
        // Whoever is answered without credentials, a site's page in a visitor's browser could be, too.
        (_, false, _) if rules.open && !asker.is_for(&rules.names) => return Err(Denial::ForeignHost),
        (_, false, _) if rules.open => (Proof::Open, read),
        (_, false, _) => return Err(Denial::Closed),
    };
    Ok(Identity { proof, scopes, ..Identity::stranger(asker, client) })
}

#[cfg(test)]
mod tests;
