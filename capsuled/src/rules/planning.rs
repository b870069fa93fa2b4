//! Which offer a deployment takes: what fits, cheapest first, and why the rest does not.
//!
//! The plan is a function of its input alone, in an order that depends on nothing else, so the same question
//! gives the same bytes. Made for tens of thousands of offers: an offer that fails is a few bits, and words
//! are found only for those that are told.

use std::collections::{BTreeMap, HashMap, HashSet};

use capsule_api::{
    AccountName, ExchangeRate, Plan, PlanRequest, PlannedOffer, Price, ProviderName, Rejection, Template,
    TemplateRegion, UsdMicros,
};
use sha2::{Digest, Sha256};

use super::{
    catalogue::{MIB_PER_GB, RegionChoice},
    rate,
};

/// Offers told of each account: enough to go on when many are out of stock, few enough to read.
const OFFERS_PER_ACCOUNT: usize = 50;
/// Rejections told.
const REJECTIONS: usize = 100;

/// A template in one region, billed to one account.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The account; `None`: there is none at the provider.
    pub account: Option<&'a AccountName>,
    /// The size.
    pub template: &'a Template,
    /// The place.
    pub region: &'a TemplateRegion,
}

/// What was asked for, with its names looked up.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The request as it was made.
    pub request: &'a PlanRequest,
    /// Its provider.
    pub provider: Option<ProviderName>,
    /// Our id of its template.
    pub template: Option<&'a str>,
    /// Its region.
    pub region: Option<&'a RegionChoice>,
}

/// The plan.
pub fn plan<'a>(
    candidates: impl IntoIterator<Item = Candidate<'a>>,
    wanted: &Wanted<'_>,
    rate: ExchangeRate,
) -> Plan {
    let mut fitting: Vec<Fitting<'a>> = Vec::new();
    let mut lost = Lost::default();
    for candidate in candidates {
        if !is_asked_for(&candidate, wanted) {
            continue;
        }
        let failures = failures(&candidate, wanted, &rate);
        match offer(&candidate, &rate) {
            Some(fit) if failures.is_none() => fitting.push(fit),
            _ => lost.add(&candidate, failures),
        }
    }
    fitting.iter().for_each(|fit| lost.forget(fit));
    fitting.sort_unstable_by(|one, other| one.key().cmp(&other.key()));
    let (offers, more_offers) = told(&fitting);
    let (rejected, more_rejected) = lost.told(wanted);
    let fingerprint = fingerprint(&offers);
    Plan { request: wanted.request.clone(), offers, more_offers, rejected, more_rejected, fingerprint, rate }
}

/// A candidate with everything an order needs.
#[derive(Clone, Copy)]
struct Fitting<'a> {
    account: &'a AccountName,
    plan: &'a str,
    place: &'a str,
    template: &'a Template,
    region: &'a TemplateRegion,
    price: Price,
    usd_hourly: UsdMicros,
    usd_monthly: UsdMicros,
}

impl<'a> Fitting<'a> {
    /// Equal prices by provider, template, region and account.
    fn key(&self) -> (UsdMicros, &'a str, &'a str, &'a str, &'a AccountName) {
        (self.usd_hourly, self.template.provider.as_str(), &self.template.id, self.place, self.account)
    }

    fn planned(&self, rank: u32) -> PlannedOffer {
        let template = self.template;
        PlannedOffer {
            rank,
            account: self.account.clone(),
            provider: template.provider,
            template: template.id.clone(),
            plan: self.plan.to_owned(),
            region: self.place.to_owned(),
            vcpus: template.vcpus,
            memory_mib: template.memory_mib,
            disk_gb: template.disk_gb,
            gpus: template.gpus,
            arch: template.arch,
            bare_metal: template.bare_metal,
            price: self.price,
            usd_hourly: self.usd_hourly,
            usd_monthly: self.usd_monthly,
            stale: self.region.stale,
        }
    }
}

/// `None` for what cannot be ordered, which its failures say too.
fn offer<'a>(candidate: &Candidate<'a>, rate: &ExchangeRate) -> Option<Fitting<'a>> {
    let (template, region) = (candidate.template, candidate.region);
    let price = region.price?;
    Some(Fitting {
        account: candidate.account?,
        plan: plan_there(candidate)?,
        place: region.region.as_deref()?,
        template,
        region,
        price,
        usd_hourly: rate::usd_hourly(&price, rate),
        usd_monthly: rate::usd_monthly(&price, rate),
    })
}

fn plan_there<'a>(candidate: &Candidate<'a>) -> Option<&'a str> {
    candidate.region.plan.as_deref().or(candidate.template.plan.as_deref())
}

/// The first of each account, ranked; the same size in the same place counts once for an account, whichever
/// of our ids it goes by.
fn told(fitting: &[Fitting<'_>]) -> (Vec<PlannedOffer>, u64) {
    let mut seen = HashSet::new();
    let mut of_account: HashMap<&AccountName, usize> = HashMap::new();
    let (mut offers, mut more) = (Vec::new(), 0);
    for fit in fitting {
        if !seen.insert((fit.account, fit.plan, fit.place)) {
            continue;
        }
        let count = of_account.entry(fit.account).or_default();
        *count += 1;
        if *count <= OFFERS_PER_ACCOUNT {
            let rank = u32::try_from(offers.len() + 1).unwrap_or(u32::MAX);
            offers.push(fit.planned(rank));
        } else {
            more += 1;
        }
    }
    (offers, more)
}

/// Whether it is of the provider, template and account that were asked for.
fn is_asked_for(candidate: &Candidate<'_>, wanted: &Wanted<'_>) -> bool {
    let account = wanted.request.account.as_ref();
    wanted.provider.is_none_or(|provider| provider == candidate.template.provider)
        && wanted.template.is_none_or(|id| id == candidate.template.id)
        && account.is_none_or(|account| Some(account) == candidate.account)
}

/// Reasons as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Failures(u16);

impl Failures {
    const CPU: u16 = 1;
    const MEMORY: u16 = 1 << 1;
    const GPU: u16 = 1 << 2;
    const ARCH: u16 = 1 << 3;
    const REGION: u16 = 1 << 4;
    const BUDGET: u16 = 1 << 5;
    const SOLD_OUT: u16 = 1 << 6;
    const NO_PRICE: u16 = 1 << 7;
    const NOT_NAMED: u16 = 1 << 8;
    const ENDED: u16 = 1 << 9;
    const NO_ACCOUNT: u16 = 1 << 10;

    fn is_none(self) -> bool {
        self.0 == 0
    }

    fn has(self, reason: u16) -> bool {
        self.0 & reason != 0
    }
}

fn failures(candidate: &Candidate<'_>, wanted: &Wanted<'_>, rate: &ExchangeRate) -> Failures {
    let (template, region, request) = (candidate.template, candidate.region, wanted.request);
    let memory_mib = request.min_memory_gb.map(|gb| u64::from(gb) * MIB_PER_GB);
    let hourly = region.price.map(|price| rate::usd_hourly(&price, rate));
    let over = |limit: UsdMicros| hourly.is_some_and(|hourly| limit < hourly);
    let tests = [
        (Failures::CPU, request.min_cpu.is_some_and(|least| template.vcpus < least)),
        (Failures::MEMORY, memory_mib.is_some_and(|least| template.memory_mib < least)),
        (Failures::GPU, request.gpu && template.gpus == 0),
        (Failures::ARCH, request.arch.is_some_and(|arch| arch != template.arch)),
        (Failures::REGION, wanted.region.is_some_and(|choice| !choice.is(template.provider, region))),
        (Failures::BUDGET, request.max_hourly.is_some_and(over)),
        (Failures::SOLD_OUT, !region.available),
        (Failures::NO_PRICE, hourly.is_none()),
        (Failures::NOT_NAMED, region.region.is_none() || plan_there(candidate).is_none()),
        (Failures::ENDED, template.ended.is_some()),
        (Failures::NO_ACCOUNT, candidate.account.is_none()),
    ];
    Failures(tests.into_iter().filter(|(_, fails)| *fails).fold(0, |all, (reason, _)| all | reason))
}

/// What does not fit, by size.
#[derive(Default)]
struct Lost<'a>(BTreeMap<(&'static str, &'a str), LostTemplate<'a>>);

struct LostTemplate<'a> {
    template: &'a Template,
    regions: BTreeMap<&'a str, (Failures, Option<UsdMicros>)>,
    fits_somewhere: bool,
}

impl<'a> Lost<'a> {
    fn add(&mut self, candidate: &Candidate<'a>, failures: Failures) {
        let template = candidate.template;
        let lost = self.0.entry((template.provider.as_str(), &template.id)).or_insert_with(|| LostTemplate {
            template,
            regions: BTreeMap::new(),
            fits_somewhere: false,
        });
        let place = candidate.region.region.as_deref().unwrap_or(&candidate.region.name);
        let hourly = candidate.region.usd_hourly_micros;
        let known = lost.regions.entry(place).or_insert((failures, hourly));
        // Of several accounts the one that came closest speaks for the place.
        if failures.0.count_ones() < known.0.0.count_ones() {
            *known = (failures, hourly);
        }
    }

    /// What another account offers has not lost.
    fn forget(&mut self, fit: &Fitting<'a>) {
        if let Some(lost) = self.0.get_mut(&(fit.template.provider.as_str(), fit.template.id.as_str())) {
            lost.regions.remove(fit.place);
            lost.fits_somewhere = true;
        }
    }

    fn told(self, wanted: &Wanted<'_>) -> (Vec<Rejection>, u64) {
        let mut lines: Vec<Line<'a>> = self.0.into_values().flat_map(LostTemplate::lines).collect();
        // Stable: by provider, template and region among those with as many reasons.
        lines.sort_by_key(|line| line.failures.0.count_ones());
        let more = lines.len().saturating_sub(REJECTIONS);
        let told = lines.iter().take(REJECTIONS).map(|line| line.rejection(wanted));
        (told.collect(), more as u64)
    }
}

/// One rejection before it is put into words.
struct Line<'a> {
    template: &'a Template,
    region: Option<&'a str>,
    failures: Failures,
    /// The lowest price it has.
    hourly: Option<UsdMicros>,
}

impl<'a> LostTemplate<'a> {
    /// One line where the reasons are the same everywhere. Places that were not asked for are told only when
    /// there is no other.
    fn lines(self) -> Vec<Line<'a>> {
        let template = self.template;
        let elsewhere = |failures: Failures| failures.has(Failures::REGION);
        let sold_there =
            self.fits_somewhere || self.regions.values().any(|(failures, _)| !elsewhere(*failures));
        let kept: Vec<_> =
            self.regions.into_iter().filter(|(_, (f, _))| !sold_there || !elsewhere(*f)).collect();
        let whole = kept.len() == template.regions.len() || !sold_there;
        let lowest = kept.iter().filter_map(|(_, (_, hourly))| *hourly).min();
        match kept.as_slice() {
            [(_, (first, _)), rest @ ..] if whole && rest.iter().all(|(_, (f, _))| f == first) => {
                vec![Line { template, region: None, failures: *first, hourly: lowest }]
            }
            [] => Vec::new(),
            _ if !sold_there => {
                let common = kept.iter().fold(u16::MAX, |all, (_, (f, _))| all & f.0);
                vec![Line { template, region: None, failures: Failures(common), hourly: lowest }]
            }
            _ => kept
                .into_iter()
                .map(|(place, (failures, hourly))| Line { template, region: Some(place), failures, hourly })
                .collect(),
        }
    }
}

impl Line<'_> {
    fn rejection(&self, wanted: &Wanted<'_>) -> Rejection {
        Rejection {
            template: self.template.id.clone(),
            provider: self.template.provider,
            region: self.region.map(str::to_owned),
            reasons: self.reasons(wanted),
        }
    }

    fn reasons(&self, wanted: &Wanted<'_>) -> Vec<String> {
        let (template, request) = (self.template, wanted.request);
        let provider = template.provider;
        let mut reasons = Vec::new();
        let mut tell = |reason: u16, words: &dyn Fn() -> String| {
            if self.failures.has(reason) {
                reasons.push(words());
            }
        };
        tell(Failures::ENDED, &|| match template.ended {
            Some(day) => format!("{provider} ended its service on {day}"),
            None => format!("{provider} ended its service"),
        });
        tell(Failures::CPU, &|| {
            format!("{} CPUs, at least {} wanted", template.vcpus, request.min_cpu.unwrap_or_default())
        });
        tell(Failures::MEMORY, &|| {
            let wanted = request.min_memory_gb.unwrap_or_default();
            format!("{} GB of memory, at least {wanted} wanted", gigabytes(template.memory_mib))
        });
        tell(Failures::GPU, &|| "no GPU".to_owned());
        tell(Failures::ARCH, &|| format!("its processor is {}", template.arch));
        tell(Failures::REGION, &|| {
            format!("not sold in {}", request.region.as_deref().unwrap_or("that region"))
        });
        tell(Failures::BUDGET, &|| {
            let (hourly, limit) = (self.hourly.unwrap_or_default(), request.max_hourly.unwrap_or_default());
            format!("{hourly} USD an hour, at most {limit} wanted")
        });
        if self.failures.has(Failures::SOLD_OUT) && self.failures.has(Failures::NO_PRICE) {
            tell(Failures::SOLD_OUT, &|| format!("not in {provider}'s list there"));
        } else {
            tell(Failures::SOLD_OUT, &|| "sold out".to_owned());
            tell(Failures::NO_PRICE, &|| "its price is not known until `templates refresh`".to_owned());
        }
        tell(Failures::NOT_NAMED, &|| {
            format!("how {provider} calls it is not known until `templates refresh`")
        });
        tell(Failures::NO_ACCOUNT, &|| format!("no account at {provider}: `provider configure {provider}`"));
        reasons
    }
}

/// MiB as GB with at most one decimal, rounded down.
fn gigabytes(mib: u64) -> String {
    match (mib / MIB_PER_GB, mib % MIB_PER_GB * 10 / MIB_PER_GB) {
        (whole, 0) => whole.to_string(),
        (whole, tenths) => format!("{whole}.{tenths}"),
    }
}

/// 32 hexadecimal digits over what is offered, in which order and for how much.
fn fingerprint(offers: &[PlannedOffer]) -> String {
    let mut hash = Sha256::new();
    for offer in offers {
        let Price { currency, hourly_micros, monthly_micros } = offer.price;
        let (account, provider, plan, region) = (&offer.account, offer.provider, &offer.plan, &offer.region);
        let line = format!(
            "{account}\t{provider}\t{plan}\t{region}\t{currency}\t{hourly_micros}\t{monthly_micros:?}\t{}\n",
            offer.usd_hourly
        );
        hash.update(line.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
