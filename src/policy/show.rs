//! The values in force, as text, for people and programs.

use super::units::{duration_text, size_text};
use super::{Banner, ExecTrace, Input, OnFailure, Policy, Profile};
use crate::crypto::recipient::Recipient;
use std::fmt;

macro_rules! names {
    ($kind:ident: $($value:ident => $name:literal),+) => {
        impl $kind {
            /// What the policy file calls each.
            pub(super) const NAMES: &[(&str, Self)] = &[$(($name, Self::$value)),+];
        }

        impl fmt::Display for $kind {
            /// As the policy file writes it.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$value => $name),+ })
            }
        }
    };
}
names!(OnFailure: Stop => "stop", Warn => "warn");
names!(Input: Echoed => "echoed", None => "none", All => "all");
names!(ExecTrace: Auto => "auto", Strict => "strict", Off => "off");
names!(Profile: None => "none", Guarded => "guarded", Hardened => "hardened");

impl Policy {
    /// Every value in force, by the name of its key, in the order of the example file; `whole`: recipients with their whole keys.
    pub fn values(&self, whole: bool) -> Vec<(String, String)> {
        let named = |recipients: &[Recipient]| {
            recipients.iter().map(|recipient| recipient.told(whole)).collect::<Vec<_>>().join(", ")
        };
        let mut values: Vec<(String, String)> = Vec::new();
        let mut add = |key: &str, value: String| values.push((key.to_owned(), value));
        add("mode", if self.is_system() { "system" } else { "personal" }.to_owned());
        add("file", self.file.as_ref().map(|path| path.display().to_string()).unwrap_or_default());
        add("digest", self.digest.clone());
        add("store.path", self.store.path.display().to_string());
        add("store.reserve", size_text(self.store.reserve));
        add("store.low-space", size_text(self.store.low_space));
        add("store.retention", self.store.retention.clone());
        add("recipients.default", named(&self.recipients.default));
        for ((name, value), also) in &self.recipients.by_label {
            add(&format!("recipients.label.\"{name}={value}\".also"), named(also));
        }
        add(
            "recipients.period",
            self.recipients.period.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        );
        add("signing.key", self.signing_key.display().to_string());
        add("record.input", self.input.to_string());
        add("record.flush", duration_text(self.flush));
        add("record.on-failure", self.on_failure.to_string());
        add("record.stream-limit", self.stream_limit.map_or_else(|| "none".to_owned(), size_text));
        add("record.redact", self.redact.to_string());
        add("run.elevator", self.elevator.join(" "));
        add("run.require-reason", self.require_reason.to_string());
        add(
            "run.banner",
            match &self.banner {
                Banner::Usual => "the usual line".to_owned(),
                Banner::Silent => "none".to_owned(),
                Banner::Text(text) => text.clone(),
            },
        );
        add(
            "run.shell",
            self.shell.as_ref().map_or_else(|| "the user's".to_owned(), |path| path.display().to_string()),
        );
        for (name, value) in &self.labels {
            add(&format!("run.labels.{name}"), value.clone());
        }
        add("run.env.keep", self.keep.to_string());
        add("run.env.withhold", self.withhold.to_string());
        add("index.shell-integration", self.shell_integration.to_string());
        add("index.exec-trace", self.exec_trace.to_string());
        add("guard.profile", self.guard.profile.to_string());
        if self.guard.profile == Profile::Hardened {
            let names: Vec<&str> = self.guard.capabilities.iter().map(|c| c.name()).collect();
            add("guard.capabilities", names.join(", "));
        }
        // Also where they take no effect: whoever has set them is to see both, and the profile above them.
        add("guard.landlock", self.guard.landlock.to_string());
        add("guard.scope", self.guard.scope.to_string());
        if self.guard.profile != Profile::None {
            add("guard.heartbeat", duration_text(self.guard.heartbeat));
        }
        values
    }
}
