//! Lifecycle configurations: from the rules of S3 into the state of the bucket and back.
//!
//! What a rule here can do: hide current versions behind a delete marker, take replaced versions and idle markers from view, forget
//! uploads in parts. It ends no record. What it cannot do is refused by name, and the whole configuration with it: a rule that is
//! half kept would be a promise that is not.

use crate::reply;
use crate::s3::Gateway;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use shosoin_protocol::bucket_rules::LifecycleRule as Rule;
use shosoin_protocol::limits::{LIFECYCLE_RULE_ID_BYTES_MAX, LIFECYCLE_RULES_MAX, NAME_BYTES_MAX};
use std::collections::BTreeSet;

/// Replaced versions that a rule may keep in view: as S3 has it.
const NONCURRENT_KEPT_MAX: i32 = 100;

/// `PutBucketLifecycleConfiguration`: replaces all rules.
pub(crate) async fn put(
    gateway: &Gateway,
    input: PutBucketLifecycleConfigurationInput,
) -> S3Result<PutBucketLifecycleConfigurationOutput> {
    gateway.bucket(&input.bucket)?;
    let asked = input.lifecycle_configuration.map(|configuration| configuration.rules).unwrap_or_default();
    let rules = rules(asked)?;
    let edited = gateway.client.edit_bucket(&input.bucket, |facts| facts.rules.lifecycle.clone_from(&rules));
    edited.await.map_err(reply::s3)?;
    Ok(PutBucketLifecycleConfigurationOutput::default())
}

/// `GetBucketLifecycleConfiguration`.
pub(crate) fn get(
    gateway: &Gateway,
    input: &GetBucketLifecycleConfigurationInput,
) -> S3Result<GetBucketLifecycleConfigurationOutput> {
    let rules = gateway.bucket(&input.bucket)?.rules.lifecycle;
    if rules.is_empty() {
        let message = "The lifecycle configuration does not exist";
        let mut error = S3Error::with_message(S3ErrorCode::NoSuchLifecycleConfiguration, message);
        error.set_status_code(http::StatusCode::NOT_FOUND);
        return Err(error);
    }
    let rules = Some(rules.into_iter().map(shown).collect());
    Ok(GetBucketLifecycleConfigurationOutput { rules, ..Default::default() })
}

/// `DeleteBucketLifecycle`.
pub(crate) async fn delete(
    gateway: &Gateway,
    input: DeleteBucketLifecycleInput,
) -> S3Result<DeleteBucketLifecycleOutput> {
    if !gateway.bucket(&input.bucket)?.rules.lifecycle.is_empty() {
        let edited = gateway.client.edit_bucket(&input.bucket, |facts| facts.rules.lifecycle.clear());
        edited.await.map_err(reply::s3)?;
    }
    Ok(DeleteBucketLifecycleOutput {})
}

fn rules(asked: LifecycleRules) -> S3Result<Vec<Rule>> {
    if asked.is_empty() || asked.len() > LIFECYCLE_RULES_MAX {
        return Err(s3_error!(MalformedXML, "A lifecycle configuration has 1 to {LIFECYCLE_RULES_MAX} rules here."));
    }
    let mut rules = Vec::with_capacity(asked.len());
    let mut ids = BTreeSet::new();
    for (number, asked) in (1..).zip(asked) {
        let rule = rule(asked, number)?;
        if !ids.insert(rule.id.clone()) {
            return Err(s3_error!(InvalidArgument, "Rule ID must be unique. Found same ID for more than one rule"));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn rule(mut asked: LifecycleRule, number: usize) -> S3Result<Rule> {
    refuse(asked.transitions.is_some(), "A transition: tiers are the operator's matter, and so")?;
    refuse(asked.noncurrent_version_transitions.is_some(), "A transition: tiers are the operator's matter, and so")?;
    let id = asked.id.take().filter(|id| !id.is_empty()).unwrap_or_else(|| format!("rule-{number}"));
    if id.len() > LIFECYCLE_RULE_ID_BYTES_MAX {
        return Err(s3_error!(
            InvalidArgument,
            "ID length should not exceed allowed limit of {LIFECYCLE_RULE_ID_BYTES_MAX}"
        ));
    }
    let enabled = match asked.status.as_str() {
        ExpirationStatus::ENABLED => true,
        ExpirationStatus::DISABLED => false,
        _ => return Err(s3_error!(MalformedXML, "The status of a rule is Enabled or Disabled.")),
    };
    let expiration = asked.expiration.take().unwrap_or_default();
    refuse(expiration.date.is_some(), "Expiration on a date")?;
    let expire_markers = expiration.expired_object_delete_marker == Some(true);
    if expire_markers && expiration.days.is_some() {
        return Err(s3_error!(MalformedXML, "An expiration has days or ExpiredObjectDeleteMarker."));
    }
    let noncurrent = asked.noncurrent_version_expiration.take().unwrap_or_default();
    let kept = noncurrent.newer_noncurrent_versions;
    if kept.is_some_and(|kept| !(1..=NONCURRENT_KEPT_MAX).contains(&kept)) {
        return Err(s3_error!(InvalidArgument, "NewerNoncurrentVersions must be 1 to {NONCURRENT_KEPT_MAX}."));
    }
    let abort = asked.abort_incomplete_multipart_upload.take().and_then(|abort| abort.days_after_initiation);
    let rule = Rule {
        id,
        enabled,
        prefix: prefix(asked.prefix, asked.filter)?,
        expire_days: days(expiration.days, "Days")?,
        expire_markers,
        noncurrent_days: days(noncurrent.noncurrent_days, "NoncurrentDays")?,
        noncurrent_kept: kept.and_then(|kept| u32::try_from(kept).ok()).unwrap_or(0),
        abort_days: days(abort, "DaysAfterInitiation")?,
    };
    rule.check().map_err(|error| s3_error!(MalformedXML, "The rule {} cannot be kept: {error}.", rule.id))?;
    Ok(rule)
}

/// Days of a rule, 0 where it has none.
fn days(days: Option<i32>, what: &str) -> S3Result<u32> {
    match days.map(u32::try_from) {
        None => Ok(0),
        Some(Ok(days)) if days > 0 => Ok(days),
        Some(_) => Err(s3_error!(InvalidArgument, "'{what}' for a lifecycle action must be a positive integer")),
    }
}

fn prefix(old: Option<String>, filter: Option<LifecycleRuleFilter>) -> S3Result<String> {
    let filter = filter.unwrap_or_default();
    let and = filter.and.unwrap_or_default();
    refuse(filter.tag.is_some() || and.tags.is_some(), "A filter by tags")?;
    let by_size = [
        filter.object_size_greater_than,
        filter.object_size_less_than,
        and.object_size_greater_than,
        and.object_size_less_than,
    ];
    refuse(by_size.iter().any(Option::is_some), "A filter by size")?;
    let given: Vec<String> = [old, filter.prefix, and.prefix].into_iter().flatten().collect();
    match given.as_slice() {
        [] => Ok(String::new()),
        [prefix] if prefix.len() <= NAME_BYTES_MAX => Ok(prefix.clone()),
        [_] => Err(s3_error!(InvalidRequest, "The maximum size of a prefix is {NAME_BYTES_MAX}.")),
        _ => Err(s3_error!(MalformedXML, "A rule has one prefix.")),
    }
}

fn refuse(given: bool, feature: &str) -> S3Result<()> {
    match given {
        true => {
            Err(s3_error!(NotImplemented, "{feature} is not kept by this store's lifecycle rules; none was changed."))
        }
        false => Ok(()),
    }
}

fn shown(rule: Rule) -> LifecycleRule {
    let number = |number: u32| i32::try_from(number).ok().filter(|number| *number > 0);
    let expiration = LifecycleExpiration {
        days: number(rule.expire_days),
        expired_object_delete_marker: rule.expire_markers.then_some(true),
        ..Default::default()
    };
    let noncurrent = NoncurrentVersionExpiration {
        newer_noncurrent_versions: number(rule.noncurrent_kept),
        noncurrent_days: number(rule.noncurrent_days),
    };
    let abort = AbortIncompleteMultipartUpload { days_after_initiation: number(rule.abort_days) };
    let status = if rule.enabled { ExpirationStatus::ENABLED } else { ExpirationStatus::DISABLED };
    LifecycleRule {
        abort_incomplete_multipart_upload: Some(abort).filter(|abort| abort.days_after_initiation.is_some()),
        expiration: Some(expiration).filter(|_| rule.expire_days > 0 || rule.expire_markers),
        filter: Some(LifecycleRuleFilter { prefix: Some(rule.prefix), ..Default::default() }),
        id: Some(rule.id),
        noncurrent_version_expiration: Some(noncurrent).filter(|noncurrent| noncurrent.noncurrent_days.is_some()),
        noncurrent_version_transitions: None,
        prefix: None,
        status: ExpirationStatus::from_static(status),
        transitions: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(edit: impl FnOnce(&mut LifecycleRule)) -> LifecycleRule {
        let mut rule = shown(Rule { id: "a".into(), enabled: true, expire_days: 1, ..Rule::default() });
        edit(&mut rule);
        rule
    }

    fn code(edit: impl FnOnce(&mut LifecycleRule)) -> S3ErrorCode {
        rule(asked(edit), 1).unwrap_err().code().clone()
    }

    #[test]
    fn a_rule_is_shown_as_it_was_put() {
        let all = Rule {
            id: "a".into(),
            enabled: false,
            prefix: "2026/".into(),
            expire_days: 1827,
            expire_markers: false,
            noncurrent_days: 30,
            noncurrent_kept: 2,
            abort_days: 7,
        };
        let markers = Rule { expire_days: 0, expire_markers: true, ..all.clone() };
        for kept in [all, markers] {
            assert_eq!(rule(shown(kept.clone()), 1).unwrap(), kept);
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_name() {
        let tag = || Some(Tag { key: Some("k".into()), value: Some("v".into()) });
        assert_eq!(code(|rule| rule.transitions = Some(Vec::new())), S3ErrorCode::NotImplemented);
        assert_eq!(code(|rule| rule.noncurrent_version_transitions = Some(Vec::new())), S3ErrorCode::NotImplemented);
        let by_tag = LifecycleRuleFilter { tag: tag(), ..Default::default() };
        assert_eq!(code(|rule| rule.filter = Some(by_tag)), S3ErrorCode::NotImplemented);
        let by_size = LifecycleRuleFilter { object_size_less_than: Some(5), ..Default::default() };
        assert_eq!(code(|rule| rule.filter = Some(by_size)), S3ErrorCode::NotImplemented);
        let on_date = LifecycleExpiration { date: Some(reply::timestamp(1)), ..Default::default() };
        assert_eq!(code(|rule| rule.expiration = Some(on_date)), S3ErrorCode::NotImplemented);
    }

    #[test]
    fn a_rule_that_nobody_can_have_meant_is_refused() {
        let of_days = |days| LifecycleExpiration { days: Some(days), ..Default::default() };
        assert_eq!(code(|rule| rule.expiration = Some(of_days(0))), S3ErrorCode::InvalidArgument);
        assert_eq!(code(|rule| rule.expiration = Some(of_days(-1))), S3ErrorCode::InvalidArgument);
        assert_eq!(code(|rule| rule.expiration = None), S3ErrorCode::MalformedXML);
        assert_eq!(code(|rule| rule.prefix = Some("twice".into())), S3ErrorCode::MalformedXML);
        assert_eq!(code(|rule| rule.id = Some("i".repeat(256))), S3ErrorCode::InvalidArgument);
        let twice = rules(vec![asked(|_| {}), asked(|_| {})]);
        assert_eq!(twice.unwrap_err().code(), &S3ErrorCode::InvalidArgument);
        assert!(rules(Vec::new()).is_err());
        assert_eq!(rule(asked(|rule| rule.id = None), 3).unwrap().id, "rule-3");
    }
}
