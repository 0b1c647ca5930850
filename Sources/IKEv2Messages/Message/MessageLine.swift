/// One line about a message for the log: what operators look for, and nothing secret.
///
///     sent IKE_SA_INIT request 0 to 192.0.2.1:500, 464 bytes: SA KEi Ni N(NAT_DETECTION_SOURCE_IP)
///     received IKE_AUTH response 1 from 192.0.2.1:4500, 260 bytes: SK { IDr AUTH SA TSi TSr }
package struct MessageLine: Hashable, Sendable, CustomStringConvertible {
    package enum Way: String, Hashable, Sendable {
        case sent, received
    }

    package let way: Way
    /// The other side: address and port.
    package let peer: String
    /// The bytes of the message on the wire, without the non-ESP marker; of a fragmented one, of all fragments.
    package let bytes: Int
    /// 0: the first time, else which repetition.
    package let retransmission: Int
    /// The number of fragments in which the message came or went; 1: whole.
    package let fragments: Int
    package let header: IKEHeader
    private let contents: MessageContentsLine

    package init(
        _ message: Message, way: Way, peer: String, bytes: Int, retransmission: Int = 0, fragments: Int = 1
    ) {
        self.init(
            header: message.header, contents: MessageContentsLine(message), way: way, peer: peer, bytes: bytes,
            retransmission: retransmission, fragments: fragments)
    }

    /// A message that was not, or could not be, opened.
    package init(_ message: ReceivedMessage, peer: String) {
        self.init(
            header: message.header, contents: MessageContentsLine(message), way: .received, peer: peer,
            bytes: message.bytes.count, retransmission: 0, fragments: 1)
    }

    private init(
        header: IKEHeader, contents: MessageContentsLine, way: Way, peer: String, bytes: Int, retransmission: Int,
        fragments: Int
    ) {
        self.header = header
        self.contents = contents
        self.way = way
        self.peer = peer
        self.bytes = bytes
        self.retransmission = retransmission
        self.fragments = fragments
    }

    /// The line of a repetition of the same bytes, to wherever it goes now.
    package func repeated(_ repetition: Int, peer: String) -> MessageLine {
        MessageLine(
            header: header, contents: contents, way: way, peer: peer, bytes: bytes, retransmission: repetition,
            fragments: fragments)
    }

    package var description: String {
        var line = "\(way.rawValue) \(header.exchange) \(header.direction.rawValue) \(header.messageID)"
        line += way == .sent ? " to " : " from "
        line += "\(peer), \(bytes) bytes"
        if fragments > 1 { line += " in \(fragments) fragments" }
        if retransmission > 0 { line += ", retransmission \(retransmission)" }
        return line + ": " + contents.text(header.direction)
    }
}

/// The payloads of a message, in few bytes: most lines are never printed, and the line of each answer is kept as long as the
/// answer is.
struct MessageContentsLine: Hashable, Sendable {
    private enum Word: Hashable, Sendable {
        case nonce
        case keyExchange
        case notify(NotifyType)
        case deleteIKE
        case deleteChildren(ProtocolID, count: UInt16)
        case configuration(ConfigurationType)
        case unknown(PayloadType)
        case other(PayloadType)
        case unseen
        case unseenFragment(FragmentPosition)
    }

    private let outer: [Word]
    /// The payloads inside the encrypted one; nil: there is none.
    private let inner: [Word]?

    init(_ message: Message) {
        outer = message.payloads.map(Self.word)
        inner = message.encryptedPayloads.map { $0.map(Self.word) }
    }

    /// What is inside stays unseen.
    init(_ message: ReceivedMessage) {
        var words = message.payloads.map(Self.word)
        if let encrypted = message.encrypted { words.append(encrypted.fragment.map(Word.unseenFragment) ?? .unseen) }
        outer = words
        inner = nil
    }

    private static func word(_ payload: Payload) -> Word {
        switch payload {
        case .nonce: .nonce
        case .keyExchange: .keyExchange
        case .notify(let notify): .notify(notify.type)
        case .delete(.ikeSA): .deleteIKE
        case .delete(.childSAs(let protocolID, let spis)):
            .deleteChildren(protocolID, count: UInt16(clamping: spis.count))
        case .configuration(let configuration): .configuration(configuration.type)
        case .unknown(let payload): .unknown(payload.type)
        default: .other(payload.type)
        }
    }

    /// "SA KEi Ni", "SK { IDi AUTH SA TSi TSr N(MOBIKE_SUPPORTED) }", "SKF 2/5 {…}".
    func text(_ direction: IKEHeader.Direction) -> String {
        var words = outer.map { Self.text($0, direction) }
        if let inner { words += ["SK {"] + inner.map { Self.text($0, direction) } + ["}"] }
        return words.isEmpty ? "empty" : words.joined(separator: " ")
    }

    /// The notation of RFC 7296 section 1.2, where requests come from the initiator of the exchange.
    private static func text(_ word: Word, _ direction: IKEHeader.Direction) -> String {
        let side = direction == .request ? "i" : "r"
        return switch word {
        case .nonce: "N\(side)"
        case .keyExchange: "KE\(side)"
        case .notify(let type): "N(\(type))"
        case .deleteIKE: "D(IKE)"
        case .deleteChildren(let protocolID, let count): "D(\(protocolID) × \(count))"
        case .configuration(let type): "CP(\(type))"
        case .unknown(let type): "unknown(\(type))"
        case .other(let type): "\(type)"
        case .unseen: "SK {…}"
        case .unseenFragment(let fragment): "SKF \(fragment) {…}"
        }
    }
}

extension Message {
    /// The payloads: "SA KEi Ni", "SK { IDi AUTH SA TSi TSr N(MOBIKE_SUPPORTED) }".
    package var contentsLine: String { MessageContentsLine(self).text(header.direction) }
}

extension ReceivedMessage {
    /// The same, with what is inside unseen: "SK {…}", "SKF 2/5 {…}".
    package var contentsLine: String { MessageContentsLine(self).text(header.direction) }
}
