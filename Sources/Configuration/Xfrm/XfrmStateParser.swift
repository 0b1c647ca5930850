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
    var spi: UInt32?
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
        do throws(ConfigurationProblem) {
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

    mutating func read(_ word: Word) throws(ConfigurationProblem) {
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
    mutating func readIdentity(_ word: Word) throws(ConfigurationProblem) -> Bool {
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
            spi = number
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

    static func readMode(_ word: Word, _ cursor: inout WordCursor) throws(ConfigurationProblem) {
        let mode = try cursor.value(of: word, "a mode")
        if !(mode == "tunnel") {
            cursor.report(mode, "this mode is not supported", "this version serves tunnel mode: use 'mode tunnel'")
        }
    }

    /// `replay-…`, `seq`, `flag`, `extra-flag`, `sel`, `limit`, `encap`.
    mutating func readHandling(_ word: Word) throws(ConfigurationProblem) -> Bool {
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

    mutating func readEncapsulation(_ word: Word) throws(ConfigurationProblem) {
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
