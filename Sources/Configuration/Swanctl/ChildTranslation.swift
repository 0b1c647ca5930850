import IKEv2
import IPsec
import Packets

/// From a section of `children` to a child.
enum ChildTranslation {
    static let rules: [String: KeyRule] = [
        "local_ts": .served, "remote_ts": .served, "esp_proposals": .served, "mode": .served,
        "start_action": .served, "close_action": .served, "dpd_action": .served,
        "rekey_time": .served, "life_time": .served, "rand_time": .served,
        "rekey_bytes": .served, "life_bytes": .served, "rand_bytes": .served,
        "rekey_packets": .served, "life_packets": .served, "rand_packets": .served,
        "reqid": .served, "priority": .served, "replay_window": .served,
        "copy_df": .served, "copy_ecn": .served, "copy_dscp": .served, "sha256_96": .served,
        "ah_proposals": .refused("use esp_proposals; ESP with an integrity algorithm protects the payload as AH does"),
        "updown": .refused("leave it out, and follow the child-updown events of 'swanctl --monitor-sa'"),
        "interface": .refused("leave it out; the interfaces are --lan and --wan of 'sluice run'"),
        "label": .refused("leave it out; security labels are not negotiated"),
        "label_mode": .only(["system", "simple"], else: "leave it out"),
        // A parameter of updown scripts.
        "hostaccess": .only(KeyRule.no + KeyRule.yes, else: "leave it out"),
        "policies": .only(KeyRule.yes, else: "leave it out; without policies no packet would be protected"),
        // They are always let through.
        "policies_fwd_out": .only(KeyRule.no + KeyRule.yes, else: "leave it out"),
        "icmp": .onlyNo("leave it out; ICMP errors go by the selectors"),
        // Peers agree on these two, or do without.
        "ipcomp": .inert(
            KeyRule.no, because: "has no effect: packets are not compressed", remedy: "leave it out"),
        "hw_offload": .inert(
            KeyRule.no + ["auto"], because: "has no effect: packets are encrypted in software",
            remedy: "leave it out"),
        "per_cpu_sas": .inert(
            KeyRule.no, because: "has no effect: one CHILD_SA is negotiated", remedy: "leave it out"),
        "tfc_padding": .onlyNothing("leave it out; packets are not padded"),
        "inactivity": .onlyNothing("leave it out; idle children stay"),
        "mark_in": .onlyNothing("leave it out; select by address"),
        "mark_out": .onlyNothing("leave it out; select by address"),
        "mark_in_sa": .onlyNo("leave it out; select by address"),
        "set_mark_in": .onlyNothing("leave it out; packets get no marks"),
        "set_mark_out": .onlyNothing("leave it out; packets get no marks"),
        "if_id_in": .onlyNothing("leave it out; select by address"),
        "if_id_out": .onlyNothing("leave it out; select by address"),
    ]

    /// Keys that are about SAs only, and say nothing of packets that are for none.
    private static let rulesOfShunts = rules.merging(
        [
            "ah_proposals", "updown", "hostaccess", "label", "label_mode", "policies_fwd_out", "icmp", "ipcomp",
            "sha256_96", "hw_offload", "per_cpu_sas", "tfc_padding", "inactivity",
        ].map { ($0, KeyRule.noEffect("has no effect where mode is pass or drop")) }
    ) { _, inert in inert }

    /// The child, refused if it has faults, and the number of these.
    static func child(_ reader: SectionReader, _ reach: SelectorReach) -> (child: Child, errors: Int) {
        let before = reader.findings.errors.count
        let child = translate(reader)
        let errors = reader.findings.errors.count - before
        return (errors == 0 ? child : child.refused(reach.of(child: reader)), errors)
    }

    private static func translate(_ reader: SectionReader) -> Child {
        let shunt = shunt(reader)
        reader.check(shunt == nil ? rules : rulesOfShunts)
        var child = Child(
            name: reader.section.name,
            proposals: shunt == nil
                ? reader.proposals("esp_proposals", default: ChildProposal.default) {
                    ChildProposal.reading($0, rules: $1)
                } : ChildProposal.default)
        child.shunt = shunt
        child.localSelectors = selectors("local_ts", reader)
        child.remoteSelectors = selectors("remote_ts", reader)
        checkFamilies(child, reader)
        readActions(reader, &child)
        child.time = limit("time", preset: 3600, reader) { reader.seconds($0) }
        child.bytes = limit("bytes", preset: 0, reader) { reader.bytes($0) }
        child.packets = limit("packets", preset: 0, reader) { reader.packets($0) }
        child.requestID = reader.number("reqid", default: 0)
        let priority: UInt32 = reader.number("priority", default: 0)
        child.priority = priority == 0 ? nil : priority
        child.replayWindow = replayWindow(reader)
        child.cutsSHA256To96Bits = shunt == nil && reader.flag("sha256_96", default: false)
        child.dontFragment = reader.flag("copy_df", default: true) ? .copy : .clear
        child.copiesECN = reader.flag("copy_ecn", default: true)
        child.copiesDSCP = copiesDSCP(reader)
        return child
    }

    /// What is not negotiated is in force as soon as it is loaded, whatever the actions say.
    private static func readActions(_ reader: SectionReader, _ child: inout Child) {
        let start = ActionText.read("start_action", reader)
        let close = ActionText.read("close_action", reader)
        let dead = ActionText.read("dpd_action", reader)
        guard child.shunt == nil else { return }
        child.startAction = start?.action ?? .none
        child.closeAction = close?.action ?? .none
        child.deadPeerAction = dead?.deadPeerAction ?? .clear
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
        reader.fail(reader.value("mode"), text, "of the modes only tunnel, pass and drop are supported", remedy)
        return nil
    }

    static func selectors(_ key: String, _ reader: SectionReader) -> [SelectorSide] {
        var sides: [SelectorSide] = []
        for item in reader.items(key) {
            do throws(WordProblem) {
                let side = try SelectorText.parse(item)
                if !sides.contains(side) { sides.append(side) }
            } catch {
                reader.fail(reader.value(key), item, error.reason, error.remedy)
            }
        }
        // RFC 7296 section 3.13: the number of selectors is one byte.
        if sides.count > 255 {
            reader.fail(
                reader.value(key), nil, "there are \(sides.count) selectors", "give at most 255, or more children")
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
    private static func replayWindow(_ reader: SectionReader) -> Int? {
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

    /// Whether the outer header of what we send has the DSCP of the packet.
    private static func copiesDSCP(_ reader: SectionReader) -> Bool {
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
            reader.fail(value, text, "is no value of 'copy_dscp'", "write copy_dscp = out or no")
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
