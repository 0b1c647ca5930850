import IKEv2
import IPsec
import Packets

/// Translation of a section of `children` to a child.
enum ChildTranslation {
    /// The child, refused if it has faults, and the number of these.
    static func child(_ reader: SectionReader, _ reach: SelectorReach) -> (child: Child, errors: Int) {
        let before = reader.findings.errors.count
        let child = translate(reader)
        let errors = reader.findings.errors.count - before
        return (errors == 0 ? child : child.refused(reach.of(child: reader)), errors)
    }

    private static func translate(_ reader: SectionReader) -> Child {
        let shunt = shunt(reader)
        reader.check(shunt == nil ? Child.keyRules : Child.shuntRules)
        var child = Child(name: reader.section.name, proposals: Child.preset.proposals)
        child.shunt = shunt
        Child.keys.read(reader, into: &child)
        child.time = limit("time", preset: Child.preset.time.rekey, reader) { reader.seconds($0) }
        child.bytes = limit("bytes", preset: Child.preset.bytes.rekey, reader) { reader.bytes($0) }
        child.packets = limit("packets", preset: Child.preset.packets.rekey, reader) { reader.packets($0) }
        checkFamilies(child, reader)
        return child
    }

    private static func shunt(_ reader: SectionReader) -> Child.Shunt? {
        guard let text = reader.text("mode"), text.lowercased() != "tunnel" else { return nil }
        if let shunt = Child.Shunt(rawValue: text.lowercased()) { return shunt }
        let remedy =
            switch text.lowercased() {
            case "transport", "beet", "transport_proxy":
                "write mode = tunnel, or leave it out; the peer has to use tunnel mode too"
            default: "write mode = tunnel, pass or drop, or leave it out"
            }
        reader.fail(reader.value("mode"), text, "unsupported mode: only tunnel, pass and drop are supported", remedy)
        return nil
    }

    static func selectors(_ key: String, _ reader: SectionReader) -> [SelectorSide] {
        var sides: [SelectorSide] = []
        for item in reader.items(key) {
            do throws(Problem) {
                let side = try SelectorText.parse(item)
                if !sides.contains(side) { sides.append(side) }
            } catch {
                reader.fail(reader.value(key), item, error)
            }
        }
        // RFC 7296 section 3.13: the number of selectors is one byte.
        if sides.count > 255 {
            reader.fail(
                reader.value(key), nil, "too many selectors in '\(key)': \(sides.count)",
                "give at most 255, or make several children")
        }
        return sides.isEmpty ? [.dynamic] : sides
    }

    /// Some pair of selectors has to be of one family, or no packet could ever match.
    private static func checkFamilies(_ child: Child, _ reader: SectionReader) {
        let local = Set(child.localSelectors.map { $0.addresses?.family })
        let remote = Set(child.remoteSelectors.map { $0.addresses?.family })
        guard !local.contains(nil), !remote.contains(nil), local.isDisjoint(with: remote) else { return }
        reader.fail(
            reader.value("remote_ts") ?? reader.value("local_ts"), nil,
            "local_ts and remote_ts are of different address families", "give both IPv4 or both IPv6 networks")
    }

    /// Our windows are of at least 32 packets. A larger one than was asked for lets no packet in twice either.
    static func replayWindow(_ reader: SectionReader) -> Int? {
        guard let value = reader.value("replay_window") else { return nil }
        let wanted: UInt32 = reader.number("replay_window", default: 32)
        let window = wanted == 0 ? 0 : min(max(Int(wanted), 32), 65_536)
        if window != Int(wanted) {
            reader.warn(
                value, "\(wanted)", "a replay window is 32 to 65536 packets, or 0 for none: it becomes \(window)",
                "write replay_window = \(window)")
        }
        return window
    }

    /// The value of `copy_dscp`: whether outer headers have the DSCP of the packet.
    static func copiesDSCP(_ reader: SectionReader) -> Bool {
        guard let value = reader.value("copy_dscp"), let text = reader.text("copy_dscp")?.lowercased() else {
            return true
        }
        switch text {
        case "out": return true
        case _ where KeyRule.no.contains(text): return false
        case "in",
            _ where KeyRule.yes.contains(text):
            let stands = text == "in" ? "no" : "out"
            reader.warn(
                value, text, "the DSCP of received packets stays as it is inside the tunnel",
                "write copy_dscp = \(stands), which this now means")
            return text != "in"
        default:
            reader.fail(value, text, "invalid value of 'copy_dscp'", "write copy_dscp = out or no")
            return true
        }
    }

    // MARK: Limits

    /// `rekey_UNIT`, `life_UNIT` and `rand_UNIT`. What is left out follows from the others: life is a tenth more than
    /// rekey, and rand what lies between, at most half of rekey.
    private static func limit(
        _ unit: String, preset: UInt64, _ reader: SectionReader, _ read: (String) -> UInt64?
    ) -> Child.Limit {
        let (givenRekey, givenLife, givenRandom) = (read("rekey_\(unit)"), read("life_\(unit)"), read("rand_\(unit)"))
        // Amounts are bounded, so that none of this overflows.
        let rekey = givenRekey ?? (givenLife.flatMap { $0 == 0 ? nil : $0 * 10 / 11 } ?? preset)
        let life = givenLife ?? rekey + rekey / 10
        let random = givenRandom ?? (life > rekey ? min(life - rekey, rekey / 2) : 0)
        if life > 0, life < rekey {
            reader.warn(
                reader.value("life_\(unit)") ?? reader.value("rekey_\(unit)"), nil,
                "life_\(unit) (\(life)) comes before rekey_\(unit) (\(rekey)): the CHILD_SA is closed, and never rekeyed",
                "give more for life_\(unit), or leave it out")
        }
        guard rekey > 0, random > rekey else { return Child.Limit(rekey: rekey, life: life, random: random) }
        reader.warn(
            reader.value("rand_\(unit)"), nil,
            "rand_\(unit) (\(random)) is more than rekey_\(unit) (\(rekey)), which it is taken from, "
                + "so that a new key may be due at once", "give at most half of \(rekey) for rand_\(unit)")
        return Child.Limit(rekey: rekey, life: life, random: rekey)
    }
}

/// Reads `start_action`, `close_action` and `dpd_action`, which have one set of words with several names for the same:
/// `start` or `restart`, `trap` or `route`, `none` or `clear`, and several of them with `|` between.
struct ActionText {
    private(set) var traps = false
    private(set) var starts = false

    /// The demands of a text; nil when a word is unknown.
    init?(_ text: String) {
        for word in text.lowercased().split(separator: "|", omittingEmptySubsequences: false) {
            switch SectionReader.trimmed(String(word)) {
            case "start", "restart": starts = true
            case "trap", "route": traps = true
            case "none", "clear": break
            default: return nil
            }
        }
    }

    var action: Child.Action {
        if traps { return starts ? .trapAndStart : .trap }
        return starts ? .start : .none
    }

    var deadPeerAction: Child.DeadPeerAction {
        if traps { return starts ? .trapAndRestart : .trap }
        return starts ? .restart : .clear
    }

    /// The value of a key; nil when it is not set, or wrong.
    static func read(_ key: String, _ reader: SectionReader) -> ActionText? {
        guard let value = reader.value(key), let text = reader.text(key) else { return nil }
        if let action = ActionText(text) { return action }
        let known = key == "dpd_action" ? ["clear", "trap", "restart"] : ["none", "trap", "start", "trap|start"]
        let near = Spelling.nearest(to: text, among: known).map { "; did you mean '\($0)'?" } ?? ""
        reader.fail(value, text, "invalid value of '\(key)'", "use \(SectionReader.alternatives(known))\(near)")
        return nil
    }
}
