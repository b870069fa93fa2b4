//! The SDK's clients for one account: credentials, one client a region, deadlines, and the one way out.
//!
//! The SDK signs, encodes and repeats; the numbers are ours. It runs without a subscriber: what it would log of
//! a request, which may hold user data, is up to its version, and each call is told of here instead.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_config::{
    imds::credentials::ImdsCredentialsProvider, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig,
};
use aws_sdk_ec2::{
    Client, Config,
    config::{
        BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
        SharedCredentialsProvider, interceptors::BeforeDeserializationInterceptorContextMut,
        retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::{BoxError, ProvideErrorMetadata, SdkError},
};
use aws_smithy_types::body::SdkBody;
use capsule_api::ProviderName;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http_body_util::Limited;
use secrecy::{ExposeSecret, SecretString};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use super::errors;
use crate::{
    CallSettings, Credential, ProviderError, Result,
    http::{Repeat, is_allowed, without_secret},
};

/// Longest answer that is read.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
/// Longest pause before a repeat.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// EC2 refills its buckets with 20 describing calls a second and with fewer of most others.
const CALLS_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

/// Where the price list of all regions is served.
const PRICE_LIST: &str = "us-east-1";

/// One account's way to EC2 in all regions.
pub(super) struct Calls {
    home: String,
    elsewhere: bool,
    config: Config,
    sts: aws_sdk_sts::Client,
    pricing: aws_sdk_pricing::Client,
    regions: Mutex<HashMap<String, Client>>,
    limiter: DefaultDirectRateLimiter,
    secrets: Vec<SecretString>,
}

impl Calls {
    /// Clients for a credential.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] for half a key pair, a missing region, or an endpoint that is neither https
    /// nor loopback.
    pub(super) fn new(credential: &Credential, settings: &CallSettings) -> Result<Self> {
        let home = given(credential, "region").ok_or_else(|| invalid("its credential lacks a `region`"))?;
        if settings.endpoint.as_ref().is_some_and(|endpoint| !is_allowed(endpoint)) {
            return Err(invalid("its address must be https, or http on loopback"));
        }
        let keys = provider(credential, &home)?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT.min(settings.timeout))
            .operation_attempt_timeout(settings.timeout)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(settings.max_retries.saturating_add(1))
            .with_initial_backoff(settings.backoff)
            .with_max_backoff(LONGEST_PAUSE);
        let endpoint = settings.endpoint.as_ref().map(ToString::to_string);
        let mut ec2 = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(keys.clone())
            .timeout_config(timeouts.clone())
            .retry_config(retries.clone())
            .interceptor(BoundedAnswer);
        ec2.set_endpoint_url(endpoint.clone());
        let mut sts = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(home.clone()))
            .credentials_provider(keys.clone())
            .timeout_config(timeouts.clone())
            .retry_config(retries.clone())
            .interceptor(BoundedAnswer);
        sts.set_endpoint_url(endpoint.clone());
        let mut pricing = aws_sdk_pricing::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(PRICE_LIST))
            .credentials_provider(keys)
            .timeout_config(timeouts)
            .retry_config(retries)
            .interceptor(BoundedAnswer);
        pricing.set_endpoint_url(endpoint.clone());
        let secrets = super::ENTRY.fields.iter().filter(|field| field.secret).map(|field| field.name);
        Ok(Self {
            home,
            elsewhere: endpoint.is_some(),
            config: ec2.build(),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            pricing: aws_sdk_pricing::Client::from_conf(pricing.build()),
            regions: Mutex::default(),
            limiter: RateLimiter::direct(Quota::per_second(CALLS_PER_SECOND)),
            secrets: secrets.filter_map(|name| given(credential, name)).map(SecretString::from).collect(),
        })
    }

    /// The account's default region.
    pub(super) fn home(&self) -> &str {
        &self.home
    }

    /// Whether the account is at an address of its own: a mock, or another cloud that speaks EC2.
    pub(super) fn elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// The region that a place names: itself, or the account's default one.
    pub(super) fn place<'a>(&'a self, place: &'a str) -> &'a str {
        if place.is_empty() { &self.home } else { place }
    }

    /// The client of a region.
    pub(super) fn region(&self, place: &str) -> Client {
        let place = self.place(place);
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = regions.get(place) {
            return client.clone();
        }
        let config = self.config.to_builder().region(Region::new(place.to_owned())).build();
        let client = Client::from_conf(config);
        regions.insert(place.to_owned(), client.clone());
        client
    }

    /// The client that says whose key it is.
    pub(super) fn sts(&self) -> &aws_sdk_sts::Client {
        &self.sts
    }

    /// The client of the price list.
    pub(super) fn pricing(&self) -> &aws_sdk_pricing::Client {
        &self.pricing
    }

    /// Carries out a call that may be repeated.
    pub(super) async fn call<T, E>(
        &self,
        what: &str,
        sent: impl Future<Output = std::result::Result<T, SdkError<E>>>,
    ) -> Result<T>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.limited(what, sent).await.map_err(|error| self.translated(Repeat::Safe, what, error))
    }

    /// An error of the SDK in our words, without the credential, should EC2 ever repeat it.
    pub(super) fn translated<E>(&self, repeat: Repeat, what: &str, error: SdkError<E>) -> ProviderError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let clean = |text: &str| {
            self.secrets.iter().fold(text.to_owned(), |text, secret| without_secret(&text, secret))
        };
        errors::translated(repeat, what, error, clean)
    }

    /// Waits for its turn, sends, tells the log; the SDK's own error, for a caller that reads its code.
    pub(super) async fn limited<T, E>(
        &self,
        what: &str,
        sent: impl Future<Output = std::result::Result<T, SdkError<E>>>,
    ) -> std::result::Result<T, SdkError<E>>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.limiter.until_ready().await;
        let began = Instant::now();
        let outcome = sent.with_subscriber(NoSubscriber::default()).await;
        let code = outcome.as_ref().err().and_then(ProvideErrorMetadata::code);
        tracing::debug!(provider = %ProviderName::Aws, what, ok = outcome.is_ok(), code, took = ?began.elapsed(), "called");
        outcome
    }
}

/// A creation is sent once: no repeats, whatever the account allows for the rest.
pub(super) fn sent_once() -> aws_sdk_ec2::config::Builder {
    Config::builder().retry_config(RetryConfig::disabled())
}

/// Fields, or a profile of the vendor's own files, or the instance's role, in this order.
fn provider(credential: &Credential, home: &str) -> Result<SharedCredentialsProvider> {
    let settings = ProviderConfig::without_region().with_region(Some(Region::new(home.to_owned())));
    match (given(credential, "access_key_id"), given(credential, "secret_access_key")) {
        (Some(id), Some(secret)) => {
            let token = given(credential, "session_token");
            Ok(SharedCredentialsProvider::new(Credentials::new(id, secret, token, None, "capsule")))
        }
        (Some(_), None) => Err(invalid("its credential lacks the `secret_access_key`")),
        (None, Some(_)) => Err(invalid("its credential lacks the `access_key_id`")),
        (None, None) => Ok(match given(credential, "profile") {
            Some(profile) => SharedCredentialsProvider::new(
                ProfileFileCredentialsProvider::builder().configure(&settings).profile_name(profile).build(),
            ),
            None => SharedCredentialsProvider::new(
                ImdsCredentialsProvider::builder().configure(&settings).build(),
            ),
        }),
    }
}

fn given(credential: &Credential, field: &str) -> Option<String> {
    let value = credential.fields.get(field)?.expose_secret().trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// A request or setting that can never work.
pub(super) fn invalid(detail: impl Into<String>) -> ProviderError {
    ProviderError::Invalid { provider: ProviderName::Aws, detail: detail.into() }
}

/// Ends an answer that is larger than any we expect.
#[derive(Debug)]
struct BoundedAnswer;

impl Intercept for BoundedAnswer {
    fn name(&self) -> &'static str {
        "BoundedAnswer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let whole = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(whole, LARGEST_BODY));
        Ok(())
    }
}
