import IKEv2
import Packets

extension Connection: SettingsTarget {
    package static let preset = Connection(
        name: "", proposals: IKEProposal.default, local: .preset, remote: .preset)
    package static let reload = "closes the connection's IKE SAs; start actions run again"

    /// The keys of a section of `connections`, in the order of the manual and of the words of `sluice check`.
    package static let keys: [SettingsKey<Connection>] = KeyTable.keys {
        SettingsKey(
            "version", .only(["2", "0"], else: "write version = 2; IKEv1 is not supported"), "version of IKE",
            vici: .init("version") { _ in .text("IKEv2") })
        SettingsKey(
            "local_addrs", \.localAddresses, .addresses, "our addresses; the first is the source of what we initiate",
            preset: "%any", json: "local_addresses", shown: .inSentence,
            vici: .init("local_addrs") { .list(listed($0.localAddresses)) })
        SettingsKey(
            "remote_addrs", \.remoteAddresses, .addresses, "the peer's addresses; without one we only respond",
            preset: "%any", json: "remote_addresses", shown: .inSentence,
            vici: .init("remote_addrs") { .list(listed($0.remoteAddresses)) })
        SettingsKey(
            "local_port", \.localPort, .ikePort, "UDP port that we initiate from: 500, or 4500 to begin behind a NAT",
            shown: .inSentence)
        SettingsKey(
            "remote_port", \.remotePort, .number(in: 1...UInt16.max), "UDP port that we initiate to", shown: .inSentence
        )
        SettingsKey(
            "proposals", \.proposals, .ikeProposals, "algorithms of the IKE SA, in order of preference",
            preset: "default", shown: .inSentence)
        SettingsKey(
            "rekey_time", \.rekeyTime, .seconds, "age at which the IKE SA gets new keys; 0: never",
            preset: "4h; 0 with reauth_time", isDerived: true,
            shown: .phrase { $0.rekeyTime > 0 ? "rekey after \($0.rekeyTime) s" : nil },
            vici: .init("rekey_time") { .number($0.rekeyTime) })
        SettingsKey(
            "reauth_time", \.reauthenticationTime, .seconds,
            "age at which the IKE SA is replaced by a newly authenticated one; 0: never",
            isDerived: true, json: "reauthentication_time",
            shown: .phrase { $0.reauthenticationTime > 0 ? "reauthenticate after \($0.reauthenticationTime) s" : nil },
            vici: .init("reauth_time") { .number($0.reauthenticationTime) })
        SettingsKey(
            "rand_time", \.randomTime, .seconds, "random part that rekeying and reauthentication are early by",
            preset: "as over_time, at most half of the shorter time", isDerived: true, json: "random_time",
            shown: .phrase { $0.hasLimits ? "up to \($0.randomTime) s earlier" : nil })
        SettingsKey(
            "over_time", \.overTime, .seconds, "time from rekeying or reauthentication to the hard limit",
            preset: "a tenth of the longer time", isDerived: true,
            shown: .phrase { $0.hasLimits ? "close \($0.overTime) s later" : nil })
        SettingsKey(
            "dpd_delay", \.dpdDelay, .seconds, "silence after which the peer is asked whether it is alive; 0: never",
            shown: .phrase { $0.dpdDelay > 0 ? "dead peer check after \($0.dpdDelay) s" : "no dead peer check" },
            vici: .init("dpd_delay") { $0.dpdDelay > 0 ? .number($0.dpdDelay) : nil })
        SettingsKey(
            "encap", form: "yes or no", preset: "no", "ESP in UDP even where there is no NAT",
            json: [.init("udp_encapsulation") { .text($0.forcesEncapsulation ? "always" : "behind a NAT") }],
            shown: .phrase { "ESP in UDP " + ($0.forcesEncapsulation ? "always" : "behind a NAT") }
        ) { $1.forcesEncapsulation = $0.flag("encap", default: false) }
        SettingsKey(
            "fragmentation", \.fragmentation, .choice, "IKE messages in fragments (RFC 7383); accept takes, sends none")
        SettingsKey("childless", \.childless, .choice, "IKE SAs without a first CHILD_SA (RFC 6023)")
        SettingsKey(
            "send_certreq", \.sendsCertificateRequest, .flag, "whether the peer is asked for a certificate")
        SettingsKey("send_cert", \.sendCertificate, .choice, "when our certificate is sent")
        SettingsKey(
            "keyingtries", \.keyingTries, .number(), "attempts of a whole negotiation; 0: without an end",
            json: "keying_tries")
        SettingsKey(
            "unique", \.unique, .choice, "treatment of a second IKE SA with the same identities",
            vici: .init("unique") { .text("UNIQUE_\($0.unique.rawValue.uppercased())") })
        // What is not written is not asked for, although strongSwan's default is yes.
        SettingsKey.warned(
            "mobike", form: "yes or no", "moving to other addresses (RFC 4555)",
            because: "MOBIKE is not supported; addresses of the peers stay, except behind a NAT",
            remedy: "write mobike = no, or leave it out"
        ) { $0.flag("mobike", default: false) }
        SettingsKey.warned(
            "dpd_timeout", form: "seconds, or with s, m, h or d", "time limit of a dead peer check in IKEv1",
            because: "has no effect with IKEv2: the retransmissions of the check decide",
            remedy: "leave it out, and set --retransmit-timeout, --retransmit-base and --retransmit-tries"
        ) { ($0.seconds("dpd_timeout") ?? 0) > 0 }
        SettingsKey(
            "aggressive",
            .inert(KeyRule.no, because: "has no effect: IKEv2 has no aggressive mode", remedy: "leave it out"),
            "aggressive mode of IKEv1")
        SettingsKey(
            "pull", .inert(KeyRule.yes, because: "has no effect with IKEv2", remedy: "leave it out"),
            "direction of mode config in IKEv1")
        SettingsKey(
            "ocsp", .only(["never", "reply"], else: "leave it out; revocation goes by CRLs in files"),
            "OCSP within IKE (RFC 4806)")
        SettingsKey(
            "dscp",
            .inert(["000000", "0"], because: "has no effect: IKE packets carry no DSCP", remedy: "leave it out"),
            "DSCP of IKE packets")
        SettingsKey(
            "ppk_required", .onlyNo("leave it out; postquantum pre-shared keys are not supported"),
            "postquantum pre-shared keys (RFC 8784)")
        SettingsKey(
            "ppk_id", .refused("leave it out; postquantum pre-shared keys are not supported"),
            "postquantum pre-shared keys (RFC 8784)")
        SettingsKey("mediation", .onlyNo("leave it out; connections are not mediated"), "mediation of connections")
        SettingsKey(
            "mediated_by", .refused("leave it out, and give the peer's address with remote_addrs"),
            "mediation of connections")
        SettingsKey(
            "mediation_peer", .refused("leave it out, and give the peer's address with remote_addrs"),
            "mediation of connections")
        SettingsKey("if_id_in", .onlyNothing("leave it out; select by address"), "XFRM interface of received packets")
        SettingsKey("if_id_out", .onlyNothing("leave it out; select by address"), "XFRM interface of sent packets")
        SettingsKey(
            "vips", .refused("leave it out, and name the networks of both sites with local_ts and remote_ts"),
            "virtual addresses that we ask for")
        SettingsKey(
            "pools", .refused("leave it out; no addresses are assigned to peers yet"),
            "virtual addresses that we assign")
    }

    static let keyRules = keys.rules()

    /// There is a time after which it is rekeyed or reauthenticated.
    private var hasLimits: Bool { rekeyTime > 0 || reauthenticationTime > 0 }

    private static func listed(_ patterns: [AddressPattern]) -> [String] {
        patterns.isEmpty ? ["%any"] : patterns.map(\.description)
    }
}

extension ValueForm where Value == UInt16 {
    /// The ports that IKE is served on.
    fileprivate static var ikePort: Self {
        Self(
            manual: "500 or 4500",
            read: { reader, key, preset in
                let port = reader.number(key, default: preset, in: 1...UInt16.max)
                guard port != IPsecPort.keyExchange, port != IPsecPort.encapsulation, let value = reader.value(key)
                else { return port }
                reader.fail(
                    value, "\(port)", "IKE is not served on this port", "write 500, or 4500 to begin behind a NAT")
                return preset
            }, listed: { .number(UInt64($0)) })
    }
}
