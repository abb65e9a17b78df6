//! CIC's User-Agent grammar (transport 4). Pure; called by the configuration and the simulated
//! CIC.

/// Why a text is no User-Agent that CIC accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUserAgent(pub String);

/// Checks a User-Agent; the error says what is wrong and where.
///
/// # Errors
/// When the text does not follow the grammar
/// `Manufacturer/Product/1.2.3 (OS;Hardware[;key=value...])`.
pub fn check(text: &str) -> Result<(), InvalidUserAgent> {
    let Some((products, rest)) = text.split_once('(') else {
        return Err(wrong("the part in parentheses, (OS;Hardware), is missing"));
    };
    let Some(inner) = rest.strip_suffix(')') else {
        return Err(wrong("it must end with the parenthesis of (OS;Hardware)"));
    };
    let products = products.strip_suffix(' ').unwrap_or(products);
    let [manufacturer, product, firmware] = parts(products, '/')[..] else {
        return Err(wrong("before the parenthesis it must be Manufacturer/Product/Firmware"));
    };
    string("the manufacturer", manufacturer)?;
    string("the product", product)?;
    version(firmware)?;
    let [os, hardware, extra @ ..] = &parts(inner, ';')[..] else {
        return Err(wrong("the parentheses must hold OS;Hardware"));
    };
    string("the OS", os)?;
    string("the hardware", hardware)?;
    extra.iter().try_for_each(|property| check_property(property))
}

fn wrong(text: impl Into<String>) -> InvalidUserAgent {
    InvalidUserAgent(text.into())
}

/// Splits at a separator that may have one blank on each side.
fn parts(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(separator).collect();
    let last = parts.len().saturating_sub(1);
    for (index, part) in parts.iter_mut().enumerate() {
        if index > 0 {
            *part = part.strip_prefix(' ').unwrap_or(part);
        }
        if index < last {
            *part = part.strip_suffix(' ').unwrap_or(part);
        }
    }
    parts
}

fn is_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Words with blanks between them; begins and ends with a word.
fn string(what: &str, text: &str) -> Result<(), InvalidUserAgent> {
    if text.is_empty() {
        return Err(wrong(format!("{what} is empty")));
    }
    if let Some(bad) = text.chars().find(|c| !is_char(*c) && *c != ' ') {
        return Err(wrong(format!(
            "{what} {text:?} contains {bad:?}; allowed are A-Z a-z 0-9 _ - ."
        )));
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err(wrong(format!("{what} {text:?} begins or ends with a blank")));
    }
    Ok(())
}

/// `1.2.3[-release][+build]`, without hyphens in release and build.
fn version(text: &str) -> Result<(), InvalidUserAgent> {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, b)| (rest, Some(b)));
    let (core, release) = rest.split_once('-').map_or((rest, None), |(core, r)| (core, Some(r)));
    let numbers: Vec<&str> = core.split('.').collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if numbers.len() != 3 || !numbers.iter().all(numeric) {
        return Err(wrong(format!(
            "the firmware version {text:?} must be three numbers, as 1.0.0"
        )));
    }
    let safe = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for tail in release.into_iter().chain(build) {
        if !tail.split('.').all(|word| !word.is_empty() && word.chars().all(safe)) {
            return Err(wrong(format!(
                "the firmware version {text:?} has a release or build with other characters \
                 than A-Z a-z 0-9 _ between its points"
            )));
        }
    }
    Ok(())
}

fn check_property(text: &str) -> Result<(), InvalidUserAgent> {
    let good = |part: &str, percent: bool| {
        !part.is_empty() && part.chars().all(|c| is_char(c) || (percent && c == '%'))
    };
    match text.split_once('=') {
        Some((key, value)) if good(key, false) && good(value, true) => Ok(()),
        _ => Err(wrong(format!(
            "{text:?} must be key=value with a URL-encoded value (a blank is %20)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_checked() {
        let good = [
            "HanbitHome/ApplianceGateway/0.4.1 (Linux 6.6;GW_200;region=KR;channel=stable)",
            "MyCompany/MyHub/1.0.0 (Linux 6;HomeHub)",
            "CLOVA/DONUT/1.2.3 (Android 7.1.1;qcom;clovasdk=1.6.0)",
            "A / B / 1.0.0-rc1+b_2.x(OS ; HW ; a=b%20c)",
            "My Company/My Hub/1.0.0(Linux;HW)",
        ];
        for text in good {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        let bad = [
            "",
            "A/B/1.0 (OS;HW)",
            "A/B/1.0.0 (OS)",
            "A/B/1.0.0-rc-1 (OS;HW)",
            "A/B/1.0.0 (OS;HW;a=b c)",
            "A/B/1.0.0 (OS;HW;a)",
            "A/B/1.0.0",
            "A/B/1.0.0 (OS;HW) x",
            "A/B/C/1.0.0 (OS;HW)",
            "A//1.0.0 (OS;HW)",
            "A/B/1.0.0  (OS;HW)",
            "한빛/B/1.0.0 (OS;HW)",
            "A/B/1.0.0 (OS;HW",
            "A /  B/1.0.0 (OS;HW)",
            "A/B/1.0.x (OS;HW)",
            "A/B/1.0.0+ (OS;HW)",
        ];
        for text in bad {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
