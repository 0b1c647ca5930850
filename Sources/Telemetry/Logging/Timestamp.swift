/// RFC 3339 in UTC with milliseconds. The calendar is computed here, because the C library's needs a lock and
/// Foundation is not linked.
func timestamp(_ nanoseconds: Int64) -> String {
    let (days, dayRest) = floorDivide(nanoseconds, 86_400_000_000_000)
    let (second, fraction) = floorDivide(dayRest, 1_000_000_000)
    let date = civilDate(daysSince1970: days)
    return "\(pad(date.year, 4))-\(pad(date.month, 2))-\(pad(date.day, 2))T"
        + "\(pad(second / 3600, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2)).\(pad(fraction / 1_000_000, 3))Z"
}

/// The Gregorian date of a day number. Years are counted from March, so that the leap day is a year's last.
private func civilDate(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let daysIn400Years: Int64 = 146_097
    let daysTo1970FromMarchOfYear0: Int64 = 719_468
    let (era, dayOfEra) = floorDivide(daysSince1970 + daysTo1970FromMarchOfYear0, daysIn400Years)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
}

private func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
}

private func pad(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
