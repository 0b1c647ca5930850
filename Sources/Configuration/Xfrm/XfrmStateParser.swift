import Cryptography
import IPsec
import Packets

/// A state with the place that it was written at.
struct ParsedState {
    var parameters: SAParameters
    var location: SourceLocation
}

/// Reads what stands behind `xfrm state add` or `update`.
struct XfrmStateParser {
    var cursor: WordCursor
    /// The word that errors about the whole line are shown at.
    let command: Word

    var source: IPAddress?
    var destination: IPAddress?
    var spi: SPI?
    var hasProtocol = false
    var hasTunnelMode = false
    var algorithms = XfrmAlgorithms()
    var requestID: UInt32 = 0
    var replayWindow: (word: Word, value: Int)?
    var sequence = Sequence()
    var flags = Flags()
    var encapsulation: UDPEncapsulation?
    var selector: TrafficSelector?
    var lifetime = Lifetime.unlimited

    /// Low and high halves of the sequence numbers to begin with.
    struct Sequence {
        var outbound: (low: UInt32, high: UInt32) = (0, 0)
        var inbound: (low: UInt32, high: UInt32) = (0, 0)
        var highWord: Word?

        static func whole(_ halves: (low: UInt32, high: UInt32)) -> UInt64 {
            UInt64(halves.high) << 32 | UInt64(halves.low)
        }
    }

    struct Flags {
        var extendedSequenceNumbers: Word?
        var noECN = false
        var noPathMTUDiscovery = false
        var keepsDSCPInside = false
    }

    init(command: Word, cursor: WordCursor) {
        self.command = command
        self.cursor = cursor
    }

    /// The state, and all problems; no state if there are errors.
    ///
    /// - Parameter defaultReplayWindow: packets, for lines without `replay-window`.
    mutating func parse(defaultReplayWindow: Int) -> (state: ParsedState?, cursor: WordCursor) {
        do throws(Problem) {
            while let word = cursor.peek {
                cursor.skip()
                try read(word)
            }
            cursor.isBehindKey = false
            let parameters = try finish(defaultReplayWindow)
            guard let parameters, cursor.errors.isEmpty else { return (nil, cursor) }
            let location = SourceLocation(file: cursor.file, line: command.line, column: command.column)
            return (ParsedState(parameters: parameters, location: location), cursor)
        } catch {
            cursor.errors.append(error)
            return (nil, cursor)
        }
    }

    // MARK: Words

    mutating func read(_ word: Word) throws(Problem) {
        let isBehindKey = cursor.isBehindKey
        cursor.isBehindKey = false
        if try readIdentity(word) { return }
        if try readHandling(word) { return }
        if try readUnsupported(word) { return }
        guard isBehindKey else {
            throw cursor.error(word, "not a word of 'xfrm state add'", "see ip-xfrm(8) for the words")
        }
        cursor.isBehindKey = true
        throw cursor.error(
            word, "unknown word after a key",
            "put quotes around a key with blanks in it; see ip-xfrm(8) for the words")
    }

    /// `src`, `dst`, `proto`, `spi`, `mode`, `reqid` and the algorithms.
    mutating func readIdentity(_ word: Word) throws(Problem) -> Bool {
        if word == "src" {
            source = try cursor.address(of: word)
        } else if word == "dst" {
            destination = try cursor.address(of: word)
        } else if word == "proto" {
            let name = try cursor.value(of: word, "a protocol")
            hasProtocol = true
            if !(name == "esp") && !(name == "50") {
                cursor.report(name, "this protocol is not supported", "use 'proto esp'")
            }
        } else if word == "spi" {
            // 0 is never sent; 1...255 are reserved (RFC 4303 section 2.1), but Linux takes them.
            let number: UInt32 = try cursor.number(of: word, "SPI", in: 1...UInt32.max)
            if number < 256 {
                cursor.warn(
                    word, "SPI \(number) is a reserved one (RFC 4303 section 2.1)", "take one from 256 (0x100) on")
            }
            spi = SPI(number)
        } else if word == "mode" {
            hasTunnelMode = true
            try Self.readMode(word, &cursor)
        } else if word == "reqid" {
            requestID = try cursor.number(of: word, "request id")
        } else if word == "aead" || word == "enc" || word == "auth" || word == "auth-trunc" {
            try algorithms.read(word, &cursor)
        } else {
            return false
        }
        return true
    }

    static func readMode(_ word: Word, _ cursor: inout WordCursor) throws(Problem) {
        let mode = try cursor.value(of: word, "a mode")
        if !(mode == "tunnel") {
            cursor.report(mode, "this mode is not supported", "this version serves tunnel mode: use 'mode tunnel'")
        }
    }

    /// `replay-…`, `seq`, `flag`, `extra-flag`, `sel`, `limit`, `encap`.
    mutating func readHandling(_ word: Word) throws(Problem) -> Bool {
        if word == "replay-window" {
            replayWindow = (word, try cursor.number(of: word, "replay window", in: 0...65_536))
        } else if word == "replay-seq" {
            sequence.inbound.low = try cursor.number(of: word, "sequence number")
        } else if word == "replay-oseq" {
            sequence.outbound.low = try cursor.number(of: word, "sequence number")
        } else if word == "replay-seq-hi" {
            sequence.inbound.high = try cursor.number(of: word, "high half of a sequence number")
            sequence.highWord = word
        } else if word == "replay-oseq-hi" {
            sequence.outbound.high = try cursor.number(of: word, "high half of a sequence number")
            sequence.highWord = word
        } else if word == "seq" {
            // Joins the kernel's acquire messages to their answers; nothing to do without IKE.
            let _: UInt32 = try cursor.number(of: word, "number")
        } else if word == "flag" {
            try readFlags(word, Self.knownFlags)
        } else if word == "extra-flag" {
            try readFlags(word, Self.knownExtraFlags)
        } else if word == "sel" {
            var parsed = XfrmSelector()
            while try parsed.read(&cursor) {}
            selector = parsed.selector(word, family: (source ?? destination)?.family ?? .ipv4, &cursor)
        } else if word == "limit" {
            try lifetime.read(word, &cursor)
        } else if word == "encap" {
            try readEncapsulation(word)
        } else {
            return false
        }
        return true
    }

    mutating func readEncapsulation(_ word: Word) throws(Problem) {
        let type = try cursor.value(of: word, "an encapsulation")
        if !(type == "espinudp") {
            cursor.report(type, "this encapsulation is not supported", "use 'encap espinudp' (RFC 3948)")
        }
        let source: UInt16 = try cursor.number(of: word, "source port", in: 1...UInt16.max)
        let destination: UInt16 = try cursor.number(of: word, "destination port", in: 1...UInt16.max)
        // The original address serves checksum repair in transport mode only.
        _ = try cursor.address(of: word)
        encapsulation = UDPEncapsulation(sourcePort: source, destinationPort: destination)
    }
}

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

    mutating func readFlags(_ keyword: Word, _ known: [String: FlagEffect]) throws(Problem) {
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
    mutating func readUnsupported(_ word: Word) throws(Problem) -> Bool {
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

/// Assembly of an SA from the words of a line: what is missing, what contradicts, what is unwise.
extension XfrmStateParser {
    mutating func finish(_ defaultReplayWindow: Int) throws(Problem) -> SAParameters? {
        if !hasProtocol { reportMissing("proto", "add 'proto esp'") }
        if !hasTunnelMode {
            reportMissing("mode", "add 'mode tunnel': Linux takes a line without it as transport mode")
        }
        guard let source else { return reportMissing("src", "add 'src' and the outer source address") }
        guard let destination else { return reportMissing("dst", "add 'dst' and the outer destination address") }
        guard let spi else { return reportMissing("spi", "add 'spi' and a number from 256 (0x100) on") }
        if source.family != destination.family {
            cursor.report(
                command, "the outer addresses \(source) and \(destination) are of different families",
                "give two IPv4 or two IPv6 addresses")
        }
        let window = checkedReplayWindow(defaultReplayWindow)
        checkSequence()
        let (transform, key) = try algorithms.transform(command, &cursor)
        warnAboutManualKeys(transform, isWindowAskedFor: (replayWindow?.value ?? 0) > 0)
        return SAParameters(
            spi: spi, source: source, destination: destination, transform: transform, key: key,
            requestID: requestID, replayWindow: window, extendedSequenceNumbers: flags.extendedSequenceNumbers != nil,
            encapsulation: encapsulation, selectors: selector.map { [$0] } ?? [], lifetime: lifetime,
            initialSequence: Sequence.whole(sequence.outbound),
            initialReplaySequence: Sequence.whole(sequence.inbound), copyDSCP: !flags.keepsDSCPInside,
            ecn: !flags.noECN, dontFragment: flags.noPathMTUDiscovery ? .clear : .copy, isManual: true)
    }

    @discardableResult
    private mutating func reportMissing(_ what: String, _ remedy: String) -> SAParameters? {
        cursor.report(command, "'\(what)' is missing", remedy)
        return nil
    }

    private mutating func checkedReplayWindow(_ defaultSize: Int) -> Int {
        guard let (word, value) = replayWindow else {
            if let esn = flags.extendedSequenceNumbers, defaultSize == 0 {
                cursor.report(esn, "extended sequence numbers need a replay window", "add 'replay-window 1024'")
            }
            return defaultSize
        }
        if value != 0, value < 32 {
            cursor.report(word, "a window of \(value) packets is not supported", "use 0 (off), or 32 to 65536")
        }
        if value == 0, let esn = flags.extendedSequenceNumbers {
            cursor.report(esn, "extended sequence numbers need a replay window", "use 'replay-window 1024'")
        }
        return value
    }

    private mutating func checkSequence() {
        guard let word = sequence.highWord, flags.extendedSequenceNumbers == nil else { return }
        if sequence.outbound.high != 0 || sequence.inbound.high != 0 {
            cursor.report(word, "a high half needs extended sequence numbers", "add 'flag esn'")
        }
    }

    private mutating func warnAboutManualKeys(_ transform: ESPTransform, isWindowAskedFor: Bool) {
        if transform.isCounterMode {
            let rule =
                if case .aesCTR = transform.encryption { "RFC 3686" } else { "RFC 4106 section 2" }
            cursor.warn(
                command, "\(transform) with a manual key: an IV that comes twice breaks it (\(rule))",
                "never use the key again after a restart of a peer that does not remember its IVs; better use IKE")
        }
        if isWindowAskedFor {
            cursor.warn(
                command,
                "replay protection with a manual key: when the sender restarts, its sequence begins at 1 again",
                "restart both sides together, or use 'replay-window 0' (RFC 4303 section 5)")
        }
        for name in lifetime.uselessSoftLimits {
            cursor.warn(command, "\(name) is not below the hard limit", "make it smaller")
        }
    }
}

extension Lifetime {
    /// Reads `limit KIND NUMBER`, whose first word has just been read.
    mutating func read(_ limit: Word, _ cursor: inout WordCursor) throws(Problem) {
        let kind = try cursor.value(of: limit, "a kind of limit")
        // 0 seconds are no limit; 0 bytes or packets would be reached at once.
        switch kind.text {
        case "time-soft": softSecondsAfterAdd = try Self.seconds(kind, &cursor)
        case "time-hard": hardSecondsAfterAdd = try Self.seconds(kind, &cursor)
        case "time-use-soft": softSecondsAfterUse = try Self.seconds(kind, &cursor)
        case "time-use-hard": hardSecondsAfterUse = try Self.seconds(kind, &cursor)
        case "byte-soft": softBytes = try Self.amount(kind, "number of bytes", &cursor)
        case "byte-hard": hardBytes = try Self.amount(kind, "number of bytes", &cursor)
        case "packet-soft": softPackets = try Self.amount(kind, "number of packets", &cursor)
        case "packet-hard": hardPackets = try Self.amount(kind, "number of packets", &cursor)
        default:
            throw cursor.error(
                kind, "not a kind of limit",
                "use time-soft, time-hard, time-use-soft, time-use-hard, byte-soft, byte-hard, packet-soft or packet-hard"
            )
        }
    }

    private static func seconds(_ kind: Word, _ cursor: inout WordCursor) throws(Problem) -> UInt64? {
        let value: UInt64 = try cursor.number(of: kind, "number of seconds")
        return value == 0 || value == .max ? nil : value
    }

    private static func amount(
        _ kind: Word, _ what: String, _ cursor: inout WordCursor
    ) throws(Problem) -> UInt64? {
        let value: UInt64 = try cursor.number(of: kind, what, in: 1...UInt64.max)
        return value == .max ? nil : value
    }

    /// Pairs whose soft limit can never be seen, because the hard one comes first.
    var uselessSoftLimits: [String] {
        let pairs: [(String, UInt64?, UInt64?)] = [
            ("byte-soft", softBytes, hardBytes), ("packet-soft", softPackets, hardPackets),
            ("time-soft", softSecondsAfterAdd, hardSecondsAfterAdd),
            ("time-use-soft", softSecondsAfterUse, hardSecondsAfterUse),
        ]
        return pairs.compactMap { name, soft, hard in
            guard let soft, let hard, soft >= hard else { return nil }
            return name
        }
    }
}
