import IKEv2

/// Something that keys of swanctl.conf describe.
package protocol SettingsTarget: Sendable {
    /// The value when no key is set: the defaults of the manual.
    static var preset: Self { get }
    /// The effect of a changed key on what runs.
    static var reload: String { get }
}

/// One key of one section of swanctl.conf, with all that is said of it anywhere: how it is read, its default, its meaning, how
/// `sluice check` and listings show it, and what a changed value does to what runs.
///
/// The tables of keys (`Connection.keys`, `Child.keys`, …) are the only place that names a key beside what it configures.
package struct SettingsKey<Target: SettingsTarget>: Sendable {
    /// The way that the text of `sluice check` shows a key.
    enum Shown: Sendable {
        /// Part of a sentence that is composed of several keys.
        case inSentence
        /// Words of its own, in one of the section's lines; nil: not at all.
        case phrase(line: Int = 0, @Sendable (Target) -> String?)
        /// The form `key = value`, where the value is not the default.
        case whenSet
        /// A key that is not shown: it says nothing about what is set up.
        case never
    }

    /// A member of the JSON document.
    struct Member: Sendable {
        let path: String
        /// The value that is listed; nil: it is left out.
        let value: @Sendable (Target) -> ListedValue?

        init(_ path: String, _ value: @escaping @Sendable (Target) -> ListedValue?) {
            (self.path, self.value) = (path, value)
        }
    }

    package let name: String
    let rule: KeyRule
    /// Its values, for the manual.
    let form: String
    /// The default, for the manual; empty: none.
    let preset: String
    /// One sentence without a full stop.
    let meaning: String
    /// Every value that asks for something has a warning, which says why it does nothing.
    private(set) var remark = ""
    /// It says nothing where nothing is negotiated (`mode = pass | drop`).
    private(set) var isAboutSAsOnly = false
    let read: @Sendable (SectionReader, inout Target) -> Void
    let shown: Shown
    let json: [Member]
    /// The word and value of VICI's `list-conns`; nil: VICI has none.
    let vici: Member?

    /// A key that is a field.
    /// - Parameter isDerived: read by code, as its default follows from other keys or its value from several.
    init<Value>(
        _ name: String, _ field: any WritableKeyPath<Target, Value> & Sendable, _ form: ValueForm<Value>,
        _ meaning: String,
        preset: String? = nil, isDerived: Bool = false, json: String? = nil, shown: Shown = .whenSet,
        vici: Member? = nil
    ) {
        let listed: @Sendable (Target) -> ListedValue? = { form.listed($0[keyPath: field]) }
        self.init(
            name, form: form.manual, preset: preset ?? listed(Target.preset)?.description ?? "", meaning,
            json: [Member(json ?? name, listed)], shown: shown, vici: vici
        ) { reader, target in
            if !isDerived { target[keyPath: field] = form.read(reader, name, target[keyPath: field]) }
        }
    }

    /// A key with a notation or an effect of its own. Without `read` it is read by code, together with others.
    init(
        _ name: String, form: String, preset: String = "", _ meaning: String, json: [Member] = [], shown: Shown,
        vici: Member? = nil, read: @escaping @Sendable (SectionReader, inout Target) -> Void = { _, _ in }
    ) {
        (self.name, self.form, self.preset, self.meaning) = (name, form, preset, meaning)
        (self.read, self.shown, self.json, self.vici) = (read, shown, json, vici)
        rule = .served
    }

    /// A key that changes nothing, whatever it may hold.
    init(_ name: String, _ rule: KeyRule, _ meaning: String, isAboutSAsOnly: Bool = false, vici: Member? = nil) {
        (self.name, self.rule, self.meaning) = (name, rule, meaning)
        (form, preset, read, shown, json) = ("", "", { _, _ in }, .never, [])
        (self.isAboutSAsOnly, self.vici) = (isAboutSAsOnly, vici)
    }

    /// A key of which every value that asks for something is warned of.
    /// - Parameter isAsked: whether the value asks for it; reports a wrong one.
    static func warned(
        _ name: String, form: String, _ meaning: String, because: String, remedy: String,
        isAsked: @escaping @Sendable (SectionReader) -> Bool
    ) -> SettingsKey {
        var key = SettingsKey(name, form: form, meaning, shown: .never) { reader, _ in
            if let value = reader.value(name), isAsked(reader) { reader.warn(value, name, because, remedy) }
        }
        key.remark = because
        return key
    }

    /// The same key, which says nothing where nothing is negotiated.
    var ofSAsOnly: SettingsKey {
        var key = self
        key.isAboutSAsOnly = true
        return key
    }
}

/// Collects the rows of a table, each checked by itself.
@resultBuilder
enum KeyTable<Target: SettingsTarget> {
    static func buildExpression(_ key: SettingsKey<Target>) -> SettingsKey<Target> { key }
    static func buildBlock(_ keys: SettingsKey<Target>...) -> [SettingsKey<Target>] { keys }

    static func keys(@KeyTable<Target> _ rows: () -> [SettingsKey<Target>]) -> [SettingsKey<Target>] { rows() }
}

// MARK: - What the table of a section is used for

extension Array {
    /// The rules of all keys, by name.
    func rules<Target>() -> [String: KeyRule] where Element == SettingsKey<Target> {
        Dictionary(uniqueKeysWithValues: map { ($0.name, $0.rule) })
    }

    func read<Target>(_ reader: SectionReader, into target: inout Target) where Element == SettingsKey<Target> {
        for key in self { key.read(reader, &target) }
    }

    /// Members of the JSON document.
    func members<Target>(of target: Target) -> [ListedValue.Member] where Element == SettingsKey<Target> {
        var members: [ListedValue.Member] = []
        for member in flatMap(\.json) {
            if let value = member.value(target) { members.add(member.path, value) }
        }
        return members
    }

    /// The phrases of one line of the text, in the order of the keys.
    func phrases<Target>(of target: Target, line: Int = 0) -> [String] where Element == SettingsKey<Target> {
        compactMap { key in
            if case .phrase(line, let words) = key.shown { words(target) } else { nil }
        }
    }

    /// `key = value`, of keys that are not as they are by default.
    func settings<Target>(of target: Target) -> [String] where Element == SettingsKey<Target> {
        filter { if case .whenSet = $0.shown { true } else { false } }.compactMap { key in
            guard let value = key.json.first?.value(target), value != key.json[0].value(Target.preset) else {
                return nil
            }
            return "\(key.name) = \(value.description)"
        }
    }

    /// The members of VICI's listing of connections.
    package func listing<Target>(of target: Target) -> [ListedValue.Member] where Element == SettingsKey<Target> {
        compactMap(\.vici).compactMap { member in member.value(target).map { .init(member.path, $0) } }
    }
}

/// The values that a key of swanctl.conf may have here.
enum KeyRule: Sendable {
    /// Any value that its form allows.
    case served
    /// Values that ask for what is there anyway, and no others.
    case only([String], else: String)
    /// Other values ask for what makes no difference here; they are warned of.
    case inert([String], because: String, remedy: String)
    /// No value, unless it is empty. With what to do instead.
    case refused(String)

    static let no = ["no", "false", "0", "disabled"]
    static let yes = ["yes", "true", "1", "enabled"]
    /// Marks, interface numbers, paddings and times that are not set.
    static let nothing = ["0", "0s", "0x0", "0/0", "0/0x00000000", "0x00000000/0x00000000", "0/0x0"]

    var isServed: Bool { if case .served = self { true } else { false } }

    /// A key of which no value makes a difference.
    static func noEffect(_ because: String) -> KeyRule { .inert([], because: because, remedy: "leave it out") }

    static func onlyNo(_ remedy: String) -> KeyRule { .only(no, else: remedy) }
    static func onlyNothing(_ remedy: String) -> KeyRule { .only(nothing, else: remedy) }

    /// The words of the manual; empty for keys that are served.
    var manual: String {
        switch self {
        case .served: ""
        case .only(let allowed, let remedy): "only `\(allowed[0])`: \(remedy)"
        case .inert([], let because, _): "with a warning: \(because)"
        case .inert(let silent, let because, _): "`\(silent[0])`, others with a warning: \(because)"
        case .refused(let remedy): "refused: \(remedy)"
        }
    }
}
