/// Flags, and the words that cannot be served.
extension XfrmStateParser {
    enum FlagEffect {
        case set(WritableKeyPath<XfrmStateParser, Bool>)
        case extendedSequenceNumbers
        /// Changes nothing that Sluice does.
        case none
        case unsupported(remedy: String)
    }

    static var knownFlags: [String: FlagEffect] {
        [
            "esn": .extendedSequenceNumbers, "noecn": .set(\.flags.noECN),
            "nopmtudisc": .set(\.flags.noPathMTUDiscovery),
            // Either inner family is always carried; AH's alignment is not ESP's.
            "af-unspec": .none, "align4": .none,
            "decap-dscp": .unsupported(
                remedy: "leave it out: the inner DSCP stays as the sender set it (RFC 4301 5.1.2)"),
            "wildrecv": .unsupported(remedy: "give the exact 'dst' address"),
            "icmp": .unsupported(remedy: "leave it out: ICMP errors are checked as all other packets are"),
        ]
    }

    static var knownExtraFlags: [String: FlagEffect] {
        [
            "dont-encap-dscp": .set(\.flags.keepsDSCPInside),
            "oseq-may-wrap": .unsupported(
                remedy: "use 'flag esn': a sequence number must not come twice under one key (RFC 4303 section 3.3.3)"),
        ]
    }

    mutating func readFlags(_ keyword: Word, _ known: [String: FlagEffect]) throws(ConfigurationProblem) {
        var count = 0
        while let word = cursor.peek, let effect = known[word.text] {
            cursor.skip()
            count += 1
            switch effect {
            case .set(let path): self[keyPath: path] = true
            case .extendedSequenceNumbers: flags.extendedSequenceNumbers = word
            case .none: break
            case .unsupported(let remedy): cursor.report(word, "this flag is not supported", remedy)
            }
        }
        guard count > 0 else {
            throw cursor.error(
                cursor.peek ?? keyword, "not a value for '\(keyword.text)'",
                "use one of \(known.keys.sorted().joined(separator: ", "))")
        }
    }

    /// Words of `ip xfrm` that cannot be served, with the number of values to skip.
    mutating func readUnsupported(_ word: Word) throws(ConfigurationProblem) -> Bool {
        guard let remedy = Self.unsupported[word.text] else { return false }
        if word == "offload" {
            cursor.report(word, "not supported", remedy)
            while let key = cursor.peek, key == "dev" || key == "dir" || key == "crypto" || key == "packet" {
                cursor.skip()
                if key == "dev" || key == "dir" { _ = try cursor.value(of: key, "a value") }
            }
            return true
        }
        let isMark = word == "mark" || word == "output-mark" || word == "if_id" || word == "tfcpad"
        let value = try cursor.value(of: word, "a value")
        // Zero is what the kernel assumes anyway.
        let isNeutral = isMark && WordCursor.number(value.text, as: UInt32.self) == 0
        if cursor.take("mask") != nil { _ = try cursor.value(of: word, "a mask") }
        if !isNeutral { cursor.report(word, "not supported", remedy) }
        return true
    }

    private static let unsupported = [
        "mark": "leave it out: all packets of the protected prefixes are looked up in one policy database",
        "output-mark": "leave it out: Sluice routes packets itself, by the main routing table",
        "if_id": "leave it out: xfrm interfaces are not supported, policies decide",
        "tfcpad": "leave it out: padding for traffic flow confidentiality is accepted, and not sent",
        "coa": "leave it out: Mobile IPv6 is not supported",
        "ctx": "leave it out: security contexts are not supported",
        "comp": "leave it out: IP compression is not supported",
        "offload": "leave it out: encryption runs on the processor",
    ]
}
