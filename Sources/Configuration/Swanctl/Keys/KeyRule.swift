/// What a key of swanctl.conf may hold here.
enum KeyRule: Sendable {
    /// Whatever its form allows.
    case served
    /// Only values that ask for what is there anyway.
    case only([String], else: String)
    /// Other values ask for what makes no difference here; they are warned of.
    case inert([String], because: String, remedy: String)
    /// Nothing, unless it is empty. With what to do instead.
    case refused(String)

    static let no = ["no", "false", "0", "disabled"]
    static let yes = ["yes", "true", "1", "enabled"]
    /// Marks, interface numbers, paddings and times that are not set.
    static let nothing = ["0", "0s", "0x0", "0/0", "0/0x00000000", "0x00000000/0x00000000", "0/0x0"]

    var isServed: Bool { if case .served = self { true } else { false } }

    /// Nothing that it could hold makes a difference.
    static func noEffect(_ because: String) -> KeyRule { .inert([], because: because, remedy: "leave it out") }

    static func onlyNo(_ remedy: String) -> KeyRule { .only(no, else: remedy) }
    static func onlyNothing(_ remedy: String) -> KeyRule { .only(nothing, else: remedy) }

    /// What the manual says of it; empty for keys that are served.
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
