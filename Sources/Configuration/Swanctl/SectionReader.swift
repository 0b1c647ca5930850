import Cryptography
import IKEv2
import Packets

/// Errors and warnings as they are found.
final class Findings {
    /// The limits of what proposals may name.
    let proposalRules: ProposalRules
    var errors: [Problem] = []
    private(set) var warnings: [Problem] = []
    private var known: Set<Problem> = []

    init(_ proposalRules: ProposalRules = ProposalRules()) { self.proposalRules = proposalRules }

    /// Each warning once, although several sections may inherit what it is about.
    func warn(_ warning: Problem) {
        if known.insert(warning).inserted { warnings.append(warning) }
    }

    /// Throws the errors, if there are any.
    func check() throws(ConfigurationErrors) {
        guard errors.isEmpty else { throw ConfigurationErrors(ConfigurationErrors.inOrder(errors)) }
    }
}

/// A reader of one section, which takes it apart and says what is wrong with it.
struct SectionReader {
    let section: SettingsSection
    /// Names from the top, `connections.site.children.net`.
    let path: String
    let findings: Findings

    init(_ section: SettingsSection, path: String, findings: Findings) {
        self.section = section
        self.path = path
        self.findings = findings
    }

    /// A reader of a section within.
    func inside(_ inner: SettingsSection) -> SectionReader {
        SectionReader(inner, path: "\(path).\(inner.name)", findings: findings)
    }

    /// The values that are not empty; an empty one stands for the default, and so does one that is damaged.
    func value(_ key: String) -> SettingsSection.Value? {
        guard let value = section.value(key), value.fault == nil else { return nil }
        switch value.content {
        case .text(let text): return text.isEmpty ? nil : value
        case .list(let items): return items.allSatisfy(\.isEmpty) ? nil : value
        case .secret(let secret): return secret.count == 0 ? nil : value
        }
    }

    /// Sections whose names begin with `prefix`, in order; capitals make no difference.
    func sections(prefix: String) -> [SectionReader] {
        section.sections.filter { $0.name.lowercased().hasPrefix(prefix) }.map(inside)
    }

    // MARK: Problems

    func location(_ value: SettingsSection.Value? = nil) -> SourceLocation {
        value?.location ?? section.location ?? SourceLocation(file: path, line: 0)
    }

    /// An error at a value; at the section when there is none.
    func fail(_ value: SettingsSection.Value?, _ word: String?, _ problem: Problem) {
        findings.errors.append(Problem(.error, location(value), word: word, problem))
    }

    func fail(_ value: SettingsSection.Value?, _ word: String?, _ what: String, _ remedy: String) {
        fail(value, word, Problem(what, remedy: remedy))
    }

    /// An error at the section.
    func fail(_ word: String?, _ what: String, _ remedy: String) { fail(nil, word, what, remedy) }

    /// A warning at a value; at the section when there is none.
    func warn(_ value: SettingsSection.Value?, _ word: String?, _ problem: Problem) {
        findings.warn(Problem(.warning, location(value), word: word, problem))
    }

    func warn(_ value: SettingsSection.Value?, _ word: String?, _ what: String, _ remedy: String) {
        warn(value, word, Problem(what, remedy: remedy))
    }

    /// A warning at the section.
    func warn(_ word: String?, _ what: String, _ remedy: String) { warn(nil, word, what, remedy) }

    /// Reports all keys that `rules` do not allow, values that are damaged, and all sections that are neither in `names`
    /// nor begin with one of `prefixes`. `hidesWords`: keys may be pieces of secrets.
    func check(
        _ rules: [String: KeyRule], sections names: [String] = [], prefixes: [String] = [], hidesWords: Bool = false
    ) {
        for value in section.values {
            if let fault = value.fault {
                fail(value, hidesWords ? nil : fault.word, fault.problem)
                continue
            }
            guard let rule = rules[value.key] else {
                unknown(
                    value.key, value.location, among: rules.filter(\.value.isServed).map(\.key), isKey: true, hidesWords
                )
                continue
            }
            check(value, rule)
        }
        for inner in section.sections
        where !names.contains(inner.name) && !prefixes.contains(where: inner.name.lowercased().hasPrefix) {
            unknown(inner.name, inner.location, among: names + prefixes, isKey: false, hidesWords)
        }
    }

    private func check(_ value: SettingsSection.Value, _ rule: KeyRule) {
        guard self.value(value.key) != nil else { return }
        switch rule {
        case .served: break
        case .refused(let remedy): fail(value, value.key, "not supported", remedy)
        case .only(let allowed, let remedy):
            let text = text(value.key) ?? ""
            guard !allowed.contains(text.lowercased()) else { return }
            fail(value, value.key, "unsupported value '\(text)': only '\(allowed[0])' is supported", remedy)
        case .inert(let silent, let because, let remedy):
            if !silent.contains((text(value.key) ?? "").lowercased()) { warn(value, value.key, because, remedy) }
        }
    }

    private func unknown(
        _ name: String, _ location: SourceLocation?, among known: [String], isKey: Bool, _ hidesWords: Bool
    ) {
        let near = Spelling.nearest(to: name, among: known.sorted())
        let what = isKey ? "key" : "section"
        let place = isKey && !hidesWords ? SettingsManual.place(of: name) : nil
        let remedy = place.map { "move it into \($0)" } ?? near.map { "did you mean '\($0)'?" } ?? choice(known)
        findings.errors.append(
            Problem(
                .error, location ?? self.location(), word: hidesWords && near == nil ? nil : name,
                "unknown \(what) in \(section.name.isEmpty ? "this place" : "'\(section.name)'")",
                remedy: remedy))
    }

    /// The remedy where something unknown stands.
    private func choice(_ known: [String]) -> String {
        if known.isEmpty { return "remove it" }
        if known.count > 12 { return "remove it; see swanctl.conf(5)" }
        return "use one of \(known.sorted().joined(separator: ", "))"
    }

    // MARK: Values

    /// The text of a value; nil when it is not set. A list is joined by commas.
    func text(_ key: String) -> String? {
        guard let value = value(key) else { return nil }
        switch value.content {
        case .text(let text): return text
        case .list(let items): return items.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ",")
        case .secret: return nil
        }
    }

    /// The items of a list, without blanks around them; none when it is not set.
    func items(_ key: String) -> [String] {
        guard let value = value(key) else { return [] }
        let parts: [String]
        switch value.content {
        case .text(let text): parts = text.split(separator: ",").map(String.init)
        case .list(let items): parts = items.map { String(decoding: $0, as: UTF8.self) }
        case .secret: parts = []
        }
        return parts.map(Self.trimmed).filter { !$0.isEmpty }
    }

    /// "never, keep or replace".
    static func alternatives(_ words: [String]) -> String {
        guard words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
    }

    static func trimmed(_ text: String) -> String {
        let isSpace: (Character) -> Bool = { $0.isWhitespace }
        return String(text.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }

    func flag(_ key: String, default preset: Bool) -> Bool {
        guard let value = value(key), let text = text(key)?.lowercased() else { return preset }
        if KeyRule.yes.contains(text) { return true }
        if !KeyRule.no.contains(text) {
            fail(value, text, "invalid value of '\(key)'", "write \(key) = yes or \(key) = no")
        }
        return false
    }

    /// One of the words of an enumeration.
    func choice<Choice>(_ key: String, default preset: Choice) -> Choice
    where Choice: RawRepresentable<String> & CaseIterable {
        guard let value = value(key), let text = text(key) else { return preset }
        if let choice = Choice(rawValue: text.lowercased()) { return choice }
        let known = Choice.allCases.map(\.rawValue)
        let near = Spelling.nearest(to: text, among: known).map { "; did you mean '\($0)'?" } ?? ""
        fail(value, text, "invalid value of '\(key)'", "use \(Self.alternatives(known))\(near)")
        return preset
    }

    func number<Number: FixedWidthInteger>(
        _ key: String, default preset: Number, in range: ClosedRange<Number> = 0...Number.max
    ) -> Number {
        guard let value = value(key), let text = text(key) else { return preset }
        if let number = Self.digits(text, as: Number.self), range.contains(number) { return number }
        fail(
            value, text, "invalid number for '\(key)'", "use one from \(range.lowerBound) to \(range.upperBound)")
        return preset
    }

    /// Decimal digits, or hexadecimal ones behind 0x.
    static func digits<Number: FixedWidthInteger>(_ text: String, as _: Number.Type = Number.self) -> Number? {
        let isHexadecimal = text.hasPrefix("0x") || text.hasPrefix("0X")
        let digits = isHexadecimal ? text.dropFirst(2) : text[...]
        guard let first = digits.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
        return Number(digits, radix: isHexadecimal ? 16 : 10)
    }

    /// Seconds; nil when it is not set. At most a hundred years, so that sums cannot overflow.
    func seconds(_ key: String) -> UInt64? {
        amount(key, units: ["s": 1, "m": 60, "h": 3600, "d": 86_400], maximum: 3_153_600_000, example: "4h or 14400")
    }

    /// Bytes, with k, m and g as powers of 1024; nil when it is not set.
    func bytes(_ key: String) -> UInt64? {
        amount(key, units: ["k": 1 << 10, "m": 1 << 20, "g": 1 << 30], maximum: 1 << 60, example: "10g or 10737418240")
    }

    func packets(_ key: String) -> UInt64? { amount(key, units: [:], maximum: 1 << 60, example: "1000000") }

    private func amount(_ key: String, units: [Character: UInt64], maximum: UInt64, example: String) -> UInt64? {
        guard let value = value(key), let text = text(key) else { return nil }
        var digits = text.lowercased()
        var unit: UInt64 = 1
        if let last = digits.last, let known = units[last] {
            unit = known
            digits = Self.trimmed(String(digits.dropLast()))
        }
        if let number = Self.digits(digits, as: UInt64.self), !digits.hasPrefix("0x") {
            let (product, overflow) = number.multipliedReportingOverflow(by: unit)
            if !overflow, product <= maximum { return product }
        }
        fail(value, text, "invalid amount for '\(key)'", "write it as \(example), at most \(maximum)")
        return nil
    }
}

// MARK: - Values with a notation of their own

extension SectionReader {
    /// The proposals of a key. What is left out of them is a warning, what nothing stands in for is an error.
    /// - Parameter standard: where nothing is written, or nothing can be used.
    func proposals<Proposal>(
        _ key: String, default standard: [Proposal], _ read: ([String], ProposalRules) -> ProposalReading<Proposal>
    ) -> [Proposal] {
        let reading = read(items(key), findings.proposalRules)
        for remark in reading.errors { fail(value(key), remark.item, remark.problem) }
        for remark in reading.warnings { warn(value(key), remark.item, remark.problem) }
        return reading.proposals.isEmpty ? standard : reading.proposals
    }

    /// An identity of `id`. nil: it is none, which is then reported at `value`.
    func identity(_ text: String, of value: SettingsSection.Value?) -> Identity? {
        do throws(Problem) {
            let identity = try Identity(parsing: text)
            if case .keyID = identity, text.contains("="), !text.lowercased().hasPrefix("keyid:") {
                warn(
                    value, text, "not a distinguished name: it stands for a key ID of this text",
                    "write it like \"C=CH, O=Example, CN=moon\", or with keyid: in front")
            }
            return identity
        } catch {
            fail(value, text, error)
            return nil
        }
    }
}
