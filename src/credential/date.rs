//! RFC 3339 as Go's `time.Parse(time.RFC3339, …)` reads it.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

/// None where Go refuses it.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = parts(date, '-')?;
    let zone = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone);
    let (clock, fraction) = match clock.find(['.', ',']) {
        Some(point) => (clock.get(..point)?, clock.get(point + 1..)?),
        None => (clock, "0"),
    };
    let [hour, minute, second] = parts(clock, ':')?;
    // Go takes an hour of one digit, and nothing else of one.
    let lengths = year.len() == 4 && hour.len() <= 2 && [month, day, minute, second].iter().all(|part| part.len() == 2);
    if !lengths || !is_number(fraction) {
        return None;
    }
    let second: i8 = second.parse().ok().filter(|second| *second < 60)?;
    let nanoseconds = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = nanoseconds.fold(0, |number, digit| number * 10 + i32::from(digit - b'0'));
    let (month, day) = (month.parse().ok()?, day.parse().ok()?);
    let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
    let civil = DateTime::new(year.parse().ok()?, month, day, hour, minute, second, nanoseconds).ok()?;
    let zoned = civil.to_zoned(TimeZone::fixed(offset(zone)?));
    // The last days of the year 9999, a favourite of people who mean never, are beyond what a timestamp holds.
    Some(zoned.map_or(Timestamp::MAX, |zoned| zoned.timestamp()))
}

fn parts(text: &str, separator: char) -> Option<[&str; 3]> {
    let mut parts = text.split(separator);
    let three = [parts.next()?, parts.next()?, parts.next()?];
    (parts.next().is_none() && three.iter().all(|part| is_number(part))).then_some(three)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn offset(zone: &str) -> Option<Offset> {
    if zone == "Z" {
        return Some(Offset::UTC);
    }
    let (sign, zone) = zone.split_at_checked(1)?;
    let (hours, minutes) = zone.split_once(':')?;
    let whole = hours.len() == 2 && minutes.len() == 2 && is_number(hours) && is_number(minutes);
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !whole || hours > 24 || minutes > 60 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()
}
