//! Deployments: the plan first, then the question, then the work.

use std::path::Path;

use capsule_api::{
    Deployment, DeploymentAttempt, DeploymentCreate, Operation, Plan, ServerSpec, UserData, XNodeName,
};

use super::{Session, ask, not_yet, operations, plans};
use crate::{
    args::deploy::{DeployArgs, DeploymentsArgs, ServerArgs},
    client::encode,
    error::{Error, Outcome, Result},
    output::{Cell, Column, Fit, Sheet, View, text},
};

/// More at once need `--yes`.
const UNCONFIRMED: u32 = 10;
const MAX_FILE_BYTES: u64 = 16 << 10;
/// How often a plan that changes while somebody thinks is shown again.
const MOST_ROUNDS: usize = 5;

const PLAN: View<Plan> = View {
    columns: &[
        Column { title: "OFFERS", fit: Fit::Number, cell: |p, _| p.offers.len().to_string().into() },
        Column { title: "FINGERPRINT", fit: Fit::Keep, cell: |p, _| p.fingerprint.clone().into() },
    ],
    name: |plan| plan.fingerprint.clone(),
    empty: "no plan",
};

/// `deploy`.
pub async fn run(session: &Session, args: DeployArgs) -> Result<Outcome> {
    if args.path.is_some() || args.app.is_some() {
        return Err(not_yet("deploy PATH --app".to_owned()));
    }
    server(session, args.server).await
}

/// Plans, shows, asks, deploys, waits.
pub async fn server(session: &Session, args: ServerArgs) -> Result<Outcome> {
    let count = args.count.unwrap_or(1);
    if UNCONFIRMED < count && !session.global.yes && !args.dry_run {
        return Err(Error::usage(format!("{count} servers at once"), "add --yes if you mean it"));
    }
    let name = match args.name.clone() {
        Some(name) => name,
        None => made_up(),
    };
    let spec = spec(&args)?;
    let user_data = args.user_data.as_deref().map(read).transpose()?.map(UserData);
    if spec.profile.is_some() {
        session.out.note("the profile is stored with the deployment; putting it on comes with later work");
    }
    for _ in 0..MOST_ROUNDS {
        let answer = session.client.post("/v1/plans", &args.request()).await?;
        let plan: Plan = answer.parse()?;
        if args.dry_run {
            session.out.one(&answer, &PLAN, plans::page)?;
            return Ok(Outcome::Done);
        }
        let Some(first) = plan.offers.first() else {
            return Err(Error::Failed {
                message: "no offer fits".to_owned(),
                hint: Some(
                    "`--dry-run` says why; `capsulectl provider configure` adds an account".to_owned(),
                ),
            });
        };
        if session.out.is_for_people() {
            session.out.typed_one(&plan, &PLAN, plans::page)?;
        }
        let question = format!(
            "deploy {count} × {name}, first {} in {} at {} for ${} per hour each?",
            first.template, first.region, first.provider, first.usd_hourly
        );
        ask::confirm(session, &question)?;
        let body = DeploymentCreate {
            name: name.clone(),
            plan: plan.request.clone(),
            fingerprint: plan.fingerprint.clone(),
            confirmed: true,
            spec: spec.clone(),
            user_data: user_data.clone(),
        };
        match session.client.post("/v1/deployments", &body).await {
            Err(Error::Refused(problem)) if problem.code == "plan_changed" && !session.global.yes => {
                session.out.warn("the plan has changed meanwhile; this is the new one");
            }
            Err(error) => return Err(error),
            Ok(answer) => {
                let Some(done) = operations::follow(session, &answer, &args.wait.usual()).await? else {
                    return Ok(Outcome::Done);
                };
                return finished(session, &done, &format!("deployed {}", made(&done).join(", ")));
            }
        }
    }
    Err(Error::Failed { message: "the plan keeps changing".to_owned(), hint: None })
}

/// What an operation ended with.
pub fn finished(session: &Session, done: &Operation, said: &str) -> Result<Outcome> {
    if session.out.is_for_people() {
        session.out.done(said);
    } else {
        session.out.typed_one(done, &operations::VIEW, |_, _| {})?;
    }
    Ok(Outcome::Done)
}

fn made(operation: &Operation) -> Vec<String> {
    let xnodes = operation.result.as_ref().and_then(|result| result["xnodes"].as_array());
    let names = xnodes.into_iter().flatten().filter_map(|xnode| xnode["name"].as_str());
    names.map(str::to_owned).collect()
}

fn made_up() -> XNodeName {
    let id = uuid::Uuid::now_v7().simple().to_string();
    format!("xnode-{}", &id[id.len() - 6..]).parse().expect("letters, digits and a hyphen")
}

fn spec(args: &ServerArgs) -> Result<ServerSpec> {
    Ok(ServerSpec {
        image: args.image.clone(),
        ssh_keys: args.ssh_key.iter().map(|path| public_key(path)).collect::<Result<_>>()?,
        open_ports: args.open_port.clone(),
        ssh_port: args.ssh_port,
        tags: args.tags.clone(),
        profile: args.profile.clone(),
        checks: Vec::new(),
        ttl_ms: args.ttl,
        ttl_action: args.ttl_action,
    })
}

fn public_key(path: &Path) -> Result<String> {
    let text = read(path)?;
    if text.contains("PRIVATE KEY") {
        return Err(Error::usage(
            format!("{} is a private key", path.display()),
            format!("give the public one, such as {}.pub", path.display()),
        ));
    }
    Ok(text.trim().to_owned())
}

fn read(path: &Path) -> Result<String> {
    use std::io::Read;
    let failed = |source| Error::Local { action: format!("read {}", path.display()), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if MAX_FILE_BYTES < text.len() as u64 {
        return Err(Error::usage(format!("{} is longer than 16 KiB", path.display()), "make it shorter"));
    }
    Ok(text)
}

const VIEW: View<Deployment> = View {
    columns: &[
        Column {
            title: "ID",
            fit: Fit::Keep,
            cell: |d, _| Cell::from(d.id.short()).exactly(d.id.to_string()),
        },
        Column { title: "NAME", fit: Fit::Keep, cell: |d, _| d.name.as_str().into() },
        Column { title: "KIND", fit: Fit::Keep, cell: |d, _| d.kind.as_str().into() },
        Column { title: "STATE", fit: Fit::Keep, cell: |d, _| d.state.as_str().into() },
        Column { title: "ACCOUNT", fit: Fit::Drop(2), cell: |d, _| d.account.as_str().into() },
        Column { title: "REGION", fit: Fit::Drop(3), cell: |d, _| d.region.clone().into() },
        Column { title: "TRIED", fit: Fit::Number, cell: |d, _| d.attempts.len().to_string().into() },
        Column {
            title: "AGE",
            fit: Fit::Number,
            cell: |d, look| Cell::from(text::age(d.created_at, look.now)).exactly(d.created_at.to_string()),
        },
        Column { title: "REASON", fit: Fit::Cut, cell: |d, look| Cell::maybe(d.reason.as_ref(), look) },
    ],
    name: |deployment| deployment.id.to_string(),
    empty: "no deployments yet",
};

const ATTEMPTS: View<DeploymentAttempt> = View {
    columns: &[
        Column { title: "#", fit: Fit::Number, cell: |a, _| a.seq.to_string().into() },
        Column { title: "OFFER", fit: Fit::Number, cell: |a, _| (a.offer + 1).to_string().into() },
        Column { title: "OUTCOME", fit: Fit::Keep, cell: |a, _| a.outcome.clone().into() },
        Column { title: "DETAIL", fit: Fit::Cut, cell: |a, _| a.detail.clone().into() },
    ],
    name: |attempt| attempt.seq.to_string(),
    empty: "nothing was tried yet",
};

/// `deployments`.
pub async fn list(session: &Session, args: &DeploymentsArgs) -> Result<Outcome> {
    match &args.deployment {
        None => {
            let rows = session.client.list_first("/v1/deployments", &(), args.limit).await?;
            session.out.list(&rows, &VIEW)?;
        }
        Some(given) => {
            let answer = session.client.get(&format!("/v1/deployments/{}", encode(given))).await?;
            session.out.one(&answer, &VIEW, page)?;
        }
    }
    Ok(Outcome::Done)
}

fn page(deployment: &Deployment, sheet: &mut Sheet<'_>) {
    sheet.title(deployment.name.as_str(), deployment.kind.as_str());
    sheet.field("state", deployment.state.as_str());
    if let Some(reason) = &deployment.reason {
        sheet.field("reason", reason);
    }
    sheet.field("account", deployment.account.as_str());
    sheet.field("region", &deployment.region);
    if let Some(instance) = &deployment.instance {
        sheet.field("instance", &instance.to_string());
    }
    if let Some(profile) = &deployment.profile {
        sheet.field("profile", profile);
    }
    sheet.field("offers", &deployment.offers.len().to_string());
    sheet.field("operation", &deployment.operation.to_string());
    sheet.field("begun", &text::moment(deployment.created_at));
    sheet.field("moved", &text::moment(deployment.updated_at));
    sheet.field("id", &deployment.id.to_string());
    sheet.section("Attempts");
    sheet.table(&ATTEMPTS, &deployment.attempts);
}
