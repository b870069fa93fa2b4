//! The end of an operation in words, laid out by the channels like everything else.

use capsule_api::{OperationKind, OperationState};

use super::{
    Message, Rendered,
    message::End,
    render::{CAUSE_BYTES, NAME_BYTES, SUMMARY_BYTES, human_duration, shell_word, utc},
    text,
};

pub(super) fn render(message: &Message, end: &End) -> Rendered {
    let operation = &end.operation;
    let tag = operation.state.to_string();
    let subject = text::clean(&end.name, NAME_BYTES);
    let took = human_duration(operation.updated_at.duration_since(operation.created_at));
    let by = text::clean(&operation.created_by, NAME_BYTES);
    let lead = match operation.state {
        OperationState::Cancelled => {
            format!("It was stopped after {took}: {}", text::clean(&operation.stage, SUMMARY_BYTES))
        }
        _ => format!("{by} asked for it; it took {took}."),
    };
    let servers: Vec<_> = end.servers.iter().map(|line| text::clean(line, CAUSE_BYTES)).collect();
    Rendered {
        title: format!("[{tag}] {subject}: {}", text::clean(&summary(end), SUMMARY_BYTES)),
        lead,
        facts: vec![
            ("Operation", operation.kind.to_string()),
            ("Asked by", by),
            ("Began", utc(operation.created_at)),
            ("Ended", utc(operation.updated_at)),
            ("Took", took),
        ],
        causes_label: "Servers",
        causes_left_out: end.servers_total.saturating_sub(servers.len()),
        causes: servers,
        actor: None,
        comment: None,
        next_steps: next_steps(end, &subject),
        footer: format!("operation {} · delivery {}", operation.id, message.delivery_id),
        tag,
        subject,
    }
}

/// What happened, in a few words.
fn summary(end: &End) -> String {
    let (work, done) = match end.operation.kind {
        OperationKind::Deploy => ("the deployment", "deployed"),
        OperationKind::TerminateXNode => ("the deletion", "deleted"),
        OperationKind::StartXNode => ("the start", "started"),
        OperationKind::StopXNode => ("the stop", "stopped"),
        OperationKind::RestartXNode => ("the restart", "restarted"),
        kind => (kind.as_str(), "done"),
    };
    match (end.operation.state, &end.operation.error) {
        (OperationState::Failed, Some(problem)) => format!("{work} failed: {}", problem.detail),
        (OperationState::Failed, None) => format!("{work} failed"),
        (OperationState::Cancelled, _) => format!("{work} was stopped on request"),
        _ if 1 < end.servers_total => format!("{} servers {done}", end.servers_total),
        _ => done.to_owned(),
    }
}

fn next_steps(end: &End, subject: &str) -> Vec<String> {
    let name = shell_word(subject);
    match (end.operation.kind, end.operation.state) {
        (OperationKind::Deploy, OperationState::Succeeded) if end.servers_total == 1 => {
            vec![format!("capsulectl inventory show {name}"), format!("capsulectl ssh {name}")]
        }
        (OperationKind::Deploy | OperationKind::TerminateXNode, _) if end.servers_total == 1 => {
            vec![format!("capsulectl deployments {name}")]
        }
        (OperationKind::Deploy | OperationKind::TerminateXNode, _) => {
            vec!["capsulectl deployments".to_owned()]
        }
        _ => vec![format!("capsulectl inventory show {name}")],
    }
}

#[cfg(test)]
mod tests {
    use super::super::{render, samples};

    #[test]
    fn every_end_has_its_words() {
        let ends = [samples::deployed(), samples::not_deployed(), samples::stopped_deploying()];
        let all = ends.iter().map(|message| {
            let rendered = render(message);
            format!("{}\n{}", rendered.title, rendered.plain_text())
        });
        insta::assert_snapshot!(all.collect::<Vec<_>>().join("\n"));
    }
}
