//! Label selectors as kubectl writes them: `tier=prod,!canary,region in (westeurope, northeurope)`.

use std::collections::BTreeSet;

use kube_core::{Expression, Selector};

/// # Errors
/// The requirement that is none, and why.
pub(super) fn parse(text: &str) -> Result<Selector, String> {
    requirements(text)
        .into_iter()
        .map(|part| requirement(part.trim()))
        .collect::<Result<Vec<_>, _>>()
        .map(Selector::from_iter)
}

/// Cuts at the commas that stand in no set.
fn requirements(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|c| {
        depth = match c {
            '(' => depth + 1,
            ')' => depth.saturating_sub(1),
            _ => depth,
        };
        c == ',' && depth == 0
    })
    .collect()
}

fn requirement(text: &str) -> Result<Expression, String> {
    if let Some(name) = text.strip_prefix('!') {
        return Ok(Expression::DoesNotExist(key(name)?));
    }
    if let Some((name, set)) = text.split_once('(') {
        let set = set.strip_suffix(')').ok_or_else(|| format!("{text:?} has no ')' at its end"))?;
        let values = set.split(',').map(value).collect::<Result<BTreeSet<_>, _>>()?;
        return match name.split_whitespace().collect::<Vec<_>>()[..] {
            [name, "in"] => Ok(Expression::In(key(name)?, values)),
            [name, "notin"] => Ok(Expression::NotIn(key(name)?, values)),
            _ => Err(format!("{text:?} is neither \"KEY in (…)\" nor \"KEY notin (…)\"")),
        };
    }
    if let Some((name, wanted)) = text.split_once("!=") {
        return Ok(Expression::NotEqual(key(name)?, value(wanted)?));
    }
    if let Some((name, wanted)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Expression::Equal(key(name)?, value(wanted)?));
    }
    Ok(Expression::Exists(key(text)?))
}

/// A label's name, with or without a prefix.
fn key(text: &str) -> Result<String, String> {
    let text = text.trim();
    let (prefix, name) = text.rsplit_once('/').unwrap_or(("", text));
    let fits = super::is_label_value(name) && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if fits { Ok(text.to_owned()) } else { Err(format!("{text:?} is no label name")) }
}

fn value(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || super::is_label_value(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no label value"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube_core::SelectorExt as _;

    use super::parse;

    fn selects(selector: &str) -> bool {
        let labels = [("tier", "prod"), ("a.b/c", "x")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        parse(selector).unwrap().matches(&BTreeMap::from(labels))
    }

    #[test]
    fn every_form_that_kubectl_has() {
        for yes in ["tier", "tier=prod", "tier==prod", "tier!=dev", "tier in (dev, prod)", "!canary", "a.b/c = x,tier"]
        {
            assert!(selects(yes), "{yes}");
        }
        for no in ["canary", "tier=dev", "tier!=prod", "tier notin (dev,prod)", "!tier", "tier,canary"] {
            assert!(!selects(no), "{no}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for bad in ["a in", "a in (b", "a is (b)", "a=b c", "=x", ",", "a,", "!"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
