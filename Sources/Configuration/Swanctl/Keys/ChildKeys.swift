import IKEv2
import IPsec

extension Child: SettingsTarget {
    package static let preset = Child(name: "", proposals: ChildProposal.default)
    package static let reload = "closes the child's CHILD_SAs; its start action runs again"

    /// The keys of a section of `children`, in the order of the manual and of the words of `sluice check`.
    package static let keys: [SettingsKey<Child>] = KeyTable.keys {
        SettingsKey(
            "mode", form: "tunnel, pass or drop", preset: "tunnel",
            "tunnel is negotiated; pass and drop say what becomes of packets without an SA",
            json: [.init("mode") { .text($0.modeName) }], shown: .inSentence,
            vici: .init("mode") { .text($0.modeName.uppercased()) })
        SettingsKey(
            "local_ts", \.localSelectors, .selectors, "packets of our side", json: "local_selectors",
            shown: .inSentence,
            vici: .init("local-ts") { .list(ListedSelector.list($0.localSelectors)) })
        SettingsKey(
            "remote_ts", \.remoteSelectors, .selectors, "packets of the peer's side", json: "remote_selectors",
            shown: .inSentence, vici: .init("remote-ts") { .list(ListedSelector.list($0.remoteSelectors)) })
        SettingsKey(
            "esp_proposals", form: "proposals, or `default`", preset: "default",
            "algorithms of the CHILD_SA, in order of preference",
            json: [.init("proposals") { .list($0.proposals.map(\.description)) }], shown: .inSentence
        ) { reader, child in
            guard child.shunt == nil else { return }
            child.proposals = reader.proposals("esp_proposals", default: child.proposals) {
                ChildProposal.reading($0, rules: $1)
            }
        }
        SettingsKey(
            "start_action", form: "none, trap, start or trap|start", preset: "none", "what happens on loading",
            json: [.init("start_action") { .text($0.startAction.rawValue) }],
            shown: .phrase { "at start: \($0.startAction.rawValue)" }
        ) { reader, child in
            let action = ActionText.read("start_action", reader)?.action ?? child.startAction
            // What is not negotiated is in force as soon as it is loaded, whatever the actions say.
            if child.shunt == nil { child.startAction = action }
        }
        SettingsKey(
            "close_action", form: "none, trap, start or trap|start", preset: "none",
            "what happens when the peer closes the CHILD_SA",
            json: [.init("close_action") { .text($0.closeAction.rawValue) }],
            shown: .phrase { "when closed: \($0.closeAction.rawValue)" },
            vici: .init("close_action") { .text($0.closeAction.rawValue) }
        ) { reader, child in
            let action = ActionText.read("close_action", reader)?.action ?? child.closeAction
            if child.shunt == nil { child.closeAction = action }
        }
        SettingsKey(
            "dpd_action", form: "clear, trap or restart", preset: "clear", "what happens when the peer is dead",
            json: [.init("dpd_action") { .text($0.deadPeerAction.rawValue) }],
            shown: .phrase { "when the peer is dead: \($0.deadPeerAction.rawValue)" },
            vici: .init("dpd_action") { .text($0.deadPeerAction == .clear ? "none" : $0.deadPeerAction.rawValue) }
        ) { reader, child in
            let action = ActionText.read("dpd_action", reader)?.deadPeerAction ?? child.deadPeerAction
            if child.shunt == nil { child.deadPeerAction = action }
        }
        limit("rekey_time", \.time.rekey, .seconds, listed: true) { rekey($0.time, "s") }
        limit("life_time", \.time.life, .seconds) { life($0.time, "s") }
        limit("rand_time", \.time.random, .seconds)
        limit("rekey_bytes", \.bytes.rekey, .bytes, listed: true) { rekey($0.bytes, "bytes") }
        limit("life_bytes", \.bytes.life, .bytes) { life($0.bytes, "bytes") }
        limit("rand_bytes", \.bytes.random, .bytes)
        limit("rekey_packets", \.packets.rekey, .packets, listed: true) { rekey($0.packets, "packets") }
        limit("life_packets", \.packets.life, .packets) { life($0.packets, "packets") }
        limit("rand_packets", \.packets.random, .packets)
        SettingsKey(
            "replay_window", form: "32 to 65536 packets, or 0 for none", preset: "that of --replay-window: 1024",
            "how far a packet may be behind others without being taken for a replay",
            json: [.init("replay_window") { $0.replayWindow.map { .number(UInt64($0)) } }],
            shown: .phrase(line: 1) { child in
                child.replayWindow.map { $0 == 0 ? "no replay check" : "replay window \($0)" }
            }
        ) { $1.replayWindow = ChildTranslation.replayWindow($0) }
        SettingsKey(
            "sha256_96", form: "yes or no", preset: "no", "HMAC-SHA-256 cut to 96 bits, for old peers",
            json: [.init("cuts_sha256") { .flag($0.cutsSHA256To96Bits) }],
            shown: .phrase(line: 1) { $0.cutsSHA256To96Bits ? "HMAC-SHA-256 cut to 96 bits" : nil }
        ) { $1.cutsSHA256To96Bits = $1.shunt == nil && $0.flag("sha256_96", default: false) }.ofSAsOnly
        SettingsKey(
            "reqid", \.requestID, .number(), "number of the pair of SAs; 0: chosen by us", json: "request_identifier",
            shown: .phrase(line: 1) { $0.requestID > 0 ? "reqid \($0.requestID)" : nil })
        SettingsKey(
            "priority", form: "0 to \(UInt32.max)", preset: "0: by how narrow the selectors are",
            "priority of the policies; the lowest is taken first",
            json: [.init("priority") { $0.priority.map { .number(UInt64($0)) } }],
            shown: .phrase(line: 1) { $0.priority.map { "priority \($0)" } }
        ) { reader, child in
            let priority: UInt32 = reader.number("priority", default: 0)
            child.priority = priority == 0 ? nil : priority
        }
        SettingsKey(
            "copy_df", form: "yes or no", preset: "yes", "whether the outer header has the packet's DF bit",
            json: [.init("copy_df") { .flag($0.dontFragment == .copy) }], shown: .whenSet
        ) { $1.dontFragment = $0.flag("copy_df", default: true) ? .copy : .clear }
        SettingsKey("copy_ecn", \.copiesECN, .flag, "whether ECN goes through the outer header (RFC 6040)")
        SettingsKey(
            "copy_dscp", form: "out or no", preset: "out", "whether the outer header has the packet's DSCP",
            json: [.init("copy_dscp") { .text($0.copiesDSCP ? "out" : "no") }], shown: .whenSet
        ) { $1.copiesDSCP = ChildTranslation.copiesDSCP($0) }
        SettingsKey(
            "ah_proposals",
            .refused("use esp_proposals; ESP with an integrity algorithm protects the payload as AH does"),
            "algorithms of AH", isAboutSAsOnly: true)
        SettingsKey(
            "updown", .refused("leave it out, and follow the child-updown events of 'swanctl --monitor-sa'"),
            "a script for CHILD_SAs that come and go", isAboutSAsOnly: true)
        SettingsKey(
            "interface", .refused("leave it out; the interfaces are --lan and --wan of 'sluice run'"),
            "interface of the policies")
        SettingsKey(
            "label", .refused("leave it out; security labels are not negotiated"), "security label",
            isAboutSAsOnly: true)
        SettingsKey(
            "label_mode", .only(["system", "simple"], else: "leave it out"), "use of the security label",
            isAboutSAsOnly: true)
        SettingsKey(
            "hostaccess", .only(KeyRule.no + KeyRule.yes, else: "leave it out"), "a parameter of updown scripts",
            isAboutSAsOnly: true)
        SettingsKey(
            "policies", .only(KeyRule.yes, else: "leave it out; without policies no packet would be protected"),
            "whether policies are installed")
        SettingsKey(
            "policies_fwd_out", .only(KeyRule.no + KeyRule.yes, else: "leave it out"),
            "policies for forwarded packets, which always pass", isAboutSAsOnly: true)
        SettingsKey(
            "icmp", .onlyNo("leave it out; ICMP errors go by the selectors"), "ICMP errors of other addresses",
            isAboutSAsOnly: true)
        // Peers agree on these three, or do without.
        SettingsKey(
            "ipcomp",
            .inert(KeyRule.no, because: "has no effect: packets are not compressed", remedy: "leave it out"),
            "compression (RFC 3173)", isAboutSAsOnly: true)
        SettingsKey(
            "hw_offload",
            .inert(
                KeyRule.no + ["auto"], because: "has no effect: packets are encrypted in software",
                remedy: "leave it out"), "encryption by the network card", isAboutSAsOnly: true)
        SettingsKey(
            "per_cpu_sas",
            .inert(KeyRule.no, because: "has no effect: one CHILD_SA is negotiated", remedy: "leave it out"),
            "one CHILD_SA for each CPU (RFC 9611)", isAboutSAsOnly: true)
        SettingsKey(
            "tfc_padding", .onlyNothing("leave it out; packets are not padded"), "traffic flow confidentiality",
            isAboutSAsOnly: true)
        SettingsKey(
            "inactivity", .onlyNothing("leave it out; idle children stay"), "silence after which it is closed",
            isAboutSAsOnly: true)
        SettingsKey("mark_in", .onlyNothing("leave it out; select by address"), "mark of received packets")
        SettingsKey("mark_out", .onlyNothing("leave it out; select by address"), "mark of sent packets")
        SettingsKey("mark_in_sa", .onlyNo("leave it out; select by address"), "mark of received ESP packets")
        SettingsKey("set_mark_in", .onlyNothing("leave it out; packets get no marks"), "mark for received packets")
        SettingsKey("set_mark_out", .onlyNothing("leave it out; packets get no marks"), "mark for sent packets")
        SettingsKey("if_id_in", .onlyNothing("leave it out; select by address"), "XFRM interface of received packets")
        SettingsKey("if_id_out", .onlyNothing("leave it out; select by address"), "XFRM interface of sent packets")
    }

    static let keyRules = keys.rules()

    /// The same keys where nothing is negotiated.
    static let shuntRules: [String: KeyRule] = keyRules.merging(
        keys.filter(\.isAboutSAsOnly).map { ($0.name, KeyRule.noEffect("has no effect where mode is pass or drop")) }
    ) { _, inert in inert }

    /// `rekey_…`, `life_…` and `rand_…` of one unit are read together.
    private static func limit(
        _ name: String, _ field: any WritableKeyPath<Child, UInt64> & Sendable, _ form: ValueForm<UInt64>,
        listed: Bool = false, _ words: (@Sendable (Child) -> String?)? = nil
    ) -> SettingsKey<Child> {
        let (kind, unit) = (String(name.prefix { $0 != "_" }), String(name.drop { $0 != "_" }.dropFirst()))
        let what = unit == "time" ? "age" : "amount of \(unit)"
        let (meaning, preset, member): (String, String, String) =
            switch kind {
            case "rekey":
                (
                    "\(what) at which the CHILD_SA is rekeyed; 0: never",
                    unit == "time" ? "1h; ten elevenths of life_time" : "0; ten elevenths of life_\(unit)", "rekey"
                )
            case "life":
                ("\(what) at which the CHILD_SA is closed; 0: never", "a tenth more than rekey_\(unit)", "life")
            default:
                (
                    "random part that rekeying is early by",
                    "life_\(unit) less rekey_\(unit), at most half of rekey_\(unit)", "random"
                )
            }
        return SettingsKey(
            name, field, form, meaning, preset: preset, isDerived: true, json: "\(unit).\(member)",
            shown: words.map { .phrase(line: 1, $0) } ?? .inSentence,
            vici: listed ? .init(name) { .number($0[keyPath: field]) } : nil)
    }

    private static func rekey(_ limit: Limit, _ unit: String) -> String? {
        limit.rekey > 0 ? "rekey after \(limit.rekey) \(unit) (up to \(limit.random) earlier)" : nil
    }

    private static func life(_ limit: Limit, _ unit: String) -> String? {
        limit.life > 0 ? "close after \(limit.life) \(unit)" : nil
    }
}
