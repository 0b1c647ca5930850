/// One line about a message for the log: what operators look for, and nothing secret.
///
///     sent IKE_SA_INIT request 0 to 192.0.2.1:500, 464 bytes: SA KEi Ni N(NAT_DETECTION_SOURCE_IP)
///     received IKE_AUTH response 1 from 192.0.2.1:4500, 260 bytes: SK { IDr AUTH SA TSi TSr }
public struct MessageLine: Hashable, Sendable, CustomStringConvertible {
    public enum Way: String, Hashable, Sendable {
        case sent, received
    }

    public let way: Way
    /// The other side: address and port.
    public let peer: String
    /// The bytes of the message on the wire, without the non-ESP marker; of a fragmented one, of all fragments.
    public let bytes: Int
    /// 0: the first time, else which repetition.
    public let retransmission: Int
    /// The number of fragments in which the message came or went; 1: whole.
    public let fragments: Int
    public let header: IKEHeader
    private let contents: String

    public init(
        _ message: Message, way: Way, peer: String, bytes: Int, retransmission: Int = 0, fragments: Int = 1
    ) {
        self.init(
            header: message.header, contents: message.contentsLine, way: way, peer: peer, bytes: bytes,
            retransmission: retransmission, fragments: fragments)
    }

    /// A message that was not, or could not be, opened.
    public init(_ message: ReceivedMessage, peer: String) {
        self.init(
            header: message.header, contents: message.contentsLine, way: .received, peer: peer,
            bytes: message.bytes.count, retransmission: 0, fragments: 1)
    }

    private init(
        header: IKEHeader, contents: String, way: Way, peer: String, bytes: Int, retransmission: Int, fragments: Int
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
    public func repeated(_ repetition: Int, peer: String) -> MessageLine {
        MessageLine(
            header: header, contents: contents, way: way, peer: peer, bytes: bytes, retransmission: repetition,
            fragments: fragments)
    }

    public var description: String {
        var line = "\(way.rawValue) \(header.exchange) \(header.direction.rawValue) \(header.messageID)"
        line += way == .sent ? " to " : " from "
        line += "\(peer), \(bytes) bytes"
        if fragments > 1 { line += " in \(fragments) fragments" }
        if retransmission > 0 { line += ", retransmission \(retransmission)" }
        return line + ": " + contents
    }
}

extension Message {
    /// The payloads: "SA KEi Ni", "SK { IDi AUTH SA TSi TSr N(MOBIKE_SUPPORTED) }".
    public var contentsLine: String {
        var words = payloads.map { $0.word(in: header.direction) }
        if let inner = encryptedPayloads {
            words += ["SK {"] + inner.map { $0.word(in: header.direction) } + ["}"]
        }
        return words.isEmpty ? "empty" : words.joined(separator: " ")
    }
}

extension ReceivedMessage {
    /// The same, with what is inside unseen: "SK {…}", "SKF 2/5 {…}".
    public var contentsLine: String {
        var words = payloads.map { $0.word(in: header.direction) }
        if let encrypted { words.append(encrypted.fragment.map { "SKF \($0) {…}" } ?? "SK {…}") }
        return words.isEmpty ? "empty" : words.joined(separator: " ")
    }
}

extension Payload {
    /// The notation of RFC 7296 section 1.2, where requests come from the initiator of the exchange.
    fileprivate func word(in direction: IKEHeader.Direction) -> String {
        let side = direction == .request ? "i" : "r"
        return switch self {
        case .nonce: "N\(side)"
        case .keyExchange: "KE\(side)"
        case .notify(let notify): "N(\(notify.type))"
        case .delete(.ikeSA): "D(IKE)"
        case .delete(.childSAs(let protocolID, let spis)): "D(\(protocolID) × \(spis.count))"
        case .configuration(let configuration): "CP(\(configuration.type))"
        case .unknown(let payload): "unknown(\(payload.type))"
        default: "\(type)"
        }
    }
}
