//! The mail channel: how a message looks as a mail, and who of its recipients already has it.
//!
//! The Message-ID is made from the delivery's id, so that a repeated mail is the same mail to whoever looks;
//! `References` names the alert, so that a mail client shows an alert as one thread.
//!
//! A server may take a mail for one recipient and ask us to come back for another (grey-listing does). Those
//! who have it are remembered until the delivery is through, in memory only: after a restart they may get it
//! once more, under the same Message-ID.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use capsule_api::{DeliveryId, EmailTarget};
use jiff::Timestamp;
use lettre::{
    Address,
    message::{
        Mailbox, Mailboxes, MultiPart, SinglePart,
        header::{self, HeaderName, HeaderValue},
    },
};
use minijinja::{Environment, UndefinedBehavior, Value, context, syntax::SyntaxConfig};

use super::{
    Deadlines, Message, News, NotifyError, Receipt, Rendered, render,
    smtp::{self, Outcome, Parcel},
    target, text,
};

/// Half-delivered mails that are remembered; the oldest is forgotten first.
const REMEMBERED: usize = 256;
const PAGE: &str = "mail.html";

/// The mail channel's lasting parts: the page and the memory of half-delivered mails.
#[derive(Debug)]
pub(super) struct Mailer {
    pages: Environment<'static>,
    accepted: Mutex<VecDeque<(DeliveryId, Vec<Address>)>>,
}

impl Mailer {
    pub(super) fn new() -> Self {
        let mut pages = Environment::new();
        pages.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        pages.set_syntax(syntax.expect("the standard delimiters are valid"));
        pages.add_template(PAGE, include_str!("templates/mail.html")).expect("the page is tested");
        Self { pages, accepted: Mutex::default() }
    }

    pub(super) async fn send(
        &self,
        email: &EmailTarget,
        password: Option<&str>,
        message: &Message,
        now: Timestamp,
        deadlines: Deadlines,
    ) -> Result<Receipt, NotifyError> {
        let mut parcel = self.compose(email, message, now)?;
        let earlier = self.take(message.delivery_id);
        parcel.to.retain(|address| !earlier.contains(address));
        let delivered = smtp::deliver(email, password, &parcel, deadlines).await;
        let outcome = match delivered {
            Ok(outcome) => outcome,
            Err(error) => {
                self.remember(message.delivery_id, earlier);
                return Err(error);
            }
        };
        let accepted: Vec<_> = earlier.into_iter().chain(outcome.accepted.iter().cloned()).collect();
        let verdict = verdict(&outcome, accepted.len(), email.to.len());
        if !outcome.deferred.is_empty() {
            self.remember(message.delivery_id, accepted);
        }
        verdict
    }

    fn take(&self, delivery: DeliveryId) -> Vec<Address> {
        let mut all = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let place = all.iter().position(|(id, _)| *id == delivery);
        place.and_then(|place| all.remove(place)).map(|(_, addresses)| addresses).unwrap_or_default()
    }

    fn remember(&self, delivery: DeliveryId, addresses: Vec<Address>) {
        if addresses.is_empty() {
            return;
        }
        let mut all = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.pop_front();
        }
        all.push_back((delivery, addresses));
    }

    fn compose(&self, email: &EmailTarget, message: &Message, now: Timestamp) -> Result<Parcel, NotifyError> {
        let refused = |rule: target::TargetError| NotifyError::refused(rule.to_string());
        let from = target::sender(&email.from).map_err(refused)?;
        let to: Result<Vec<_>, _> = email.to.iter().map(|address| target::recipient(address)).collect();
        let to = to.map_err(refused)?;
        let rendered = render::render(message);
        let html = self.page(message, &rendered);
        let mail = mail(&from, &to, message, &rendered, html, now)
            .map_err(|error| NotifyError::refused(error.to_string()))?;
        let mut addresses: Vec<Address> = Vec::new();
        for mailbox in to {
            if !addresses.contains(&mailbox.email) {
                addresses.push(mailbox.email);
            }
        }
        Ok(Parcel { from: from.email, to: addresses, bytes: mail.formatted() })
    }

    fn page(&self, message: &Message, rendered: &Rendered) -> String {
        let facts: Value = rendered
            .facts
            .iter()
            .map(|(label, value)| context! { label => *label, value => value.as_str() })
            .collect();
        let list = |items: &[String]| items.iter().map(String::as_str).map(Value::from).collect::<Value>();
        let comment: Value =
            rendered.comment.iter().flat_map(|words| words.lines()).map(Value::from).collect();
        let (bar, badge) = colours(message);
        let context = context! {
            title => rendered.title.as_str(),
            headline => rendered.headline(),
            tag => rendered.tag.as_str(),
            lead => rendered.lead.as_str(),
            facts,
            causes_label => rendered.causes_label,
            causes => list(&rendered.causes),
            more => rendered.more_causes(),
            comment,
            next_steps => list(&rendered.next_steps),
            footer => rendered.footer.as_str(),
            bar,
            badge,
        };
        let page = self.pages.get_template(PAGE).expect("it was added when the mailer was made");
        page.render(context).expect("the page uses only what is given, which its test proves")
    }
}

/// Colour of the bar, and of the badge with white text on it (contrast at least 4.5:1).
fn colours(message: &Message) -> (&'static str, &'static str) {
    use capsule_api::Severity;
    match message.severity() {
        _ if message.is_good_end() => ("#2e9e5b", "#1f7a44"),
        Severity::Critical => ("#d32f2f", "#c62828"),
        Severity::Warning => ("#f2a600", "#8f5f00"),
        Severity::Info => ("#3578e5", "#2a62c4"),
    }
}

fn mail(
    from: &Mailbox,
    to: &[Mailbox],
    message: &Message,
    rendered: &Rendered,
    html: String,
    now: Timestamp,
) -> Result<lettre::Message, lettre::error::Error> {
    let domain = from.email.domain();
    let (thread, about) = match &message.news {
        News::Change(change) => {
            let id = change.alert.id;
            (format!("<alert.{id}@{domain}>"), raw("X-Capsule-Alert", id.to_string()))
        }
        News::End(end) => {
            let id = end.operation.id;
            (format!("<operation.{id}@{domain}>"), raw("X-Capsule-Operation", id.to_string()))
        }
    };
    let body = MultiPart::alternative()
        // `=_` cannot occur in quoted-printable text (RFC 2045 §6.7), and a fixed boundary makes the mail the same at
        // every try.
        .boundary(format!("=_capsule_{}", message.delivery_id.0.simple()))
        .singlepart(part(header::ContentType::TEXT_PLAIN, rendered.plain_text()))
        .singlepart(part(header::ContentType::TEXT_HTML, html));
    lettre::Message::builder()
        .from(from.clone())
        .mailbox(header::To::from(to.iter().cloned().collect::<Mailboxes>()))
        .subject(rendered.title.as_str())
        .date(SystemTime::from(now))
        .message_id(Some(format!("<{}@{domain}>", message.delivery_id)))
        .in_reply_to(thread.clone())
        .references(thread)
        .raw_header(raw("Auto-Submitted", "auto-generated".to_owned()))
        .raw_header(raw("X-Capsule-Delivery", message.delivery_id.to_string()))
        .raw_header(about)
        .multipart(body)
}

fn part(kind: header::ContentType, body: String) -> SinglePart {
    let encoding = header::ContentTransferEncoding::QuotedPrintable;
    SinglePart::builder().header(kind).header(encoding).body(body)
}

fn raw(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

/// What the delivery is told, given how each recipient fared.
fn verdict(outcome: &Outcome, accepted: usize, of: usize) -> Result<Receipt, NotifyError> {
    let named = |list: &[(Address, String)]| {
        let each = list.iter().map(|(address, said)| format!("{address}: {said}"));
        text::clean(&each.collect::<Vec<_>>().join("; "), 350)
    };
    if !outcome.deferred.is_empty() {
        let detail = format!("{accepted} of {of} recipients have it; {}", named(&outcome.deferred));
        return Err(NotifyError::Busy { after: None, detail });
    }
    if accepted == 0 {
        return Err(NotifyError::refused(named(&outcome.refused)));
    }
    let said = outcome.reply.as_deref().unwrap_or("accepted earlier");
    if outcome.refused.is_empty() {
        return Ok(Receipt { detail: said.to_owned() });
    }
    let refused = named(&outcome.refused);
    Ok(Receipt {
        detail: text::clean(&format!("{said}; {accepted} of {of} recipients have it; {refused}"), 500),
    })
}

#[cfg(test)]
mod tests {
    use capsule_api::SmtpSecurity;

    use super::super::samples;
    use super::*;

    fn target() -> EmailTarget {
        EmailTarget {
            host: "mail.example.org".parse().expect("a host"),
            port: None,
            security: SmtpSecurity::Starttls,
            username: None,
            from: "Capsule <capsule@example.org>".to_owned(),
            to: vec!["ops@example.org".to_owned(), "Änn Önym <ann@example.org>".to_owned()],
            ca_pem: None,
        }
    }

    fn compose(message: &Message) -> String {
        let now = samples::time("2026-11-20T23:30:00Z");
        let parcel = Mailer::new().compose(&target(), message, now).expect("composes");
        String::from_utf8(parcel.bytes).expect("quoted-printable is ASCII")
    }

    #[test]
    fn a_mail_says_it_all_in_text_and_html() {
        insta::assert_snapshot!("mail_opened", compose(&samples::opened()).replace("\r\n", "\n"));
    }

    #[test]
    fn the_page_escapes_what_came_from_outside() {
        for (name, message) in [("acknowledged", samples::acknowledged()), ("resolved", samples::resolved())]
        {
            let page = Mailer::new().page(&message, &render::render(&message));
            assert!(!page.contains("<banner>") && !page.contains("<today>"));
            insta::assert_snapshot!(format!("mail_page_{name}"), page);
        }
    }

    #[test]
    fn a_repeated_mail_is_the_same_mail_in_the_same_thread() {
        let (opened, resolved) = (samples::opened(), samples::resolved());
        let line = |mail: &str, name: &str| {
            let found = mail.lines().find(|line| line.starts_with(name));
            found.map(str::to_owned).unwrap_or_default()
        };
        assert_eq!(compose(&opened), compose(&opened));
        let (first, last) = (compose(&opened), compose(&resolved));
        assert_eq!(line(&first, "References"), line(&last, "References"));
        assert!(line(&first, "Message-ID").contains(&opened.delivery_id.to_string()));
    }

    #[test]
    fn a_hostile_name_starts_no_header() {
        let mut message = samples::opened();
        let alert = samples::alert_of(&mut message);
        alert.subject_name = "web\r\nBcc: victim@example.org\r\n\r\nbody".to_owned();
        alert.summary = "x\nX-Evil: 1".to_owned();
        let mail = compose(&message);
        let (head, _) = mail.split_once("\r\n\r\n").expect("a head and a body");
        assert!(!head.lines().any(|line| line.starts_with("Bcc") || line.starts_with("X-Evil")), "{head}");
    }

    #[test]
    fn a_mail_is_bounded_whatever_the_alert_holds() {
        let message = samples::enormous();
        let page = Mailer::new().page(&message, &render::render(&message));
        assert!(page.len() <= 100_000, "{} bytes", page.len());
    }
}
