/// Puts fragments together again (RFC 7383 section 2.6), for one IKE SA, within bounded memory.
///
/// For each fragment: 1. `judge` it before any cryptography, 2. open it, 3. `store` its content. `receive` does all
/// three. There is no clock inside: the owner calls `discard` when it gives up on an exchange. Nor does it know which
/// message ids are due: the owner asks only for fragments inside its window, and answers a repeated fragment of a
/// request that it has answered when it is number 1, and else not at all (section 2.6.1).
package struct FragmentReassembler: Sendable {
    package struct Limits: Hashable, Sendable {
        /// Fragments of one message.
        package var fragments = 128
        /// Bytes of content of one message.
        package var contentBytes = 65_535
        /// Messages under way at a time; a further one takes the place of the oldest.
        package var messages = 2

        package init() {}
    }

    /// A message id occurs in requests of either side and in their responses.
    package struct Key: Hashable, Sendable {
        package let messageID: UInt32
        package let direction: IKEHeader.Direction

        package init(_ header: IKEHeader) {
            messageID = header.messageID
            direction = header.direction
        }
    }

    /// Why a fragment is silently discarded.
    package enum Discard: Hashable, Sendable {
        case notAFragment
        /// The fragment is here already.
        case duplicate
        /// The fragment belongs to a set that was cut into fewer and larger pieces, before the present one.
        case supersededSet
        case tooManyFragments
        /// The content would exceed its limit; the message is given up.
        case tooLarge
        /// The fragment did not open.
        case protection(ProtectionFailure)
    }

    package enum Outcome: Sendable {
        case discarded(Discard)
        /// Stored; so many are still to come.
        case waiting(missing: Int)
        /// The message is complete: that was the last fragment.
        case complete(ReassembledContent)
    }

    package let limits: Limits
    /// Oldest first; never more than `limits.messages`.
    private var queues: [(key: Key, queue: FragmentQueue)] = []

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// Bytes of content that are held now.
    package var storedBytes: Int { queues.reduce(0) { $0 + $1.queue.storedBytes } }

    /// Whether a fragment is worth opening; nil: it is. Changes nothing, as nothing is authenticated yet.
    package func judge(_ message: ReceivedMessage) -> Discard? {
        guard let position = message.encrypted?.fragment else { return .notAFragment }
        if Int(position.total) > limits.fragments { return .tooManyFragments }
        guard let queue = queues.first(where: { $0.key == Key(message.header) })?.queue else { return nil }
        if position.total < queue.total { return .supersededSet }
        return position.total == queue.total && queue.has(position.number) ? .duplicate : nil
    }

    /// Keeps the opened `content` of `message`. Only for authenticated fragments: the first of a set with more pieces
    /// than the present one replaces all of that.
    package mutating func store(_ content: [UInt8], of message: ReceivedMessage) -> Outcome {
        if let discard = judge(message) { return .discarded(discard) }
        guard let encrypted = message.encrypted, let position = encrypted.fragment else {
            return .discarded(.notAFragment)
        }
        let key = Key(message.header)
        let index = queue(for: key, total: position.total)
        if queues[index].queue.storedBytes + content.count > limits.contentBytes {
            discard(key)
            return .discarded(.tooLarge)
        }
        queues[index].queue.insert(content, at: position.number)
        if position.number == 1 {
            queues[index].queue.first = FragmentQueue.First(
                header: message.header, payloads: message.payloads, firstPayload: encrypted.firstPayload)
        }
        if let complete = queues[index].queue.complete() {
            discard(key)
            return .complete(complete)
        }
        return .waiting(missing: queues[index].queue.missing)
    }

    /// The index of the queue for a set of `total` fragments: the present one, or a new one in place of a set of fewer
    /// fragments, or at the end, for which the oldest may have to go.
    private mutating func queue(for key: Key, total: UInt16) -> Int {
        if let index = queues.firstIndex(where: { $0.key == key }) {
            if total > queues[index].queue.total { queues[index].queue = FragmentQueue(total: total) }
            return index
        }
        if queues.count >= max(1, limits.messages) { queues.removeFirst() }
        queues.append((key, FragmentQueue(total: total)))
        return queues.count - 1
    }

    /// Judges, opens and stores.
    package mutating func receive(_ message: ReceivedMessage, cipher: some MessageCipher) -> Outcome {
        if let discard = judge(message) { return .discarded(discard) }
        do {
            return store(try message.openContent(with: cipher), of: message)
        } catch {
            return .discarded(.protection(error))
        }
    }

    /// Gives up on a message: its exchange is over, or waited too long.
    package mutating func discard(_ key: Key) { queues.removeAll { $0.key == key } }

    package mutating func discardAll() { queues.removeAll() }
}

/// The fragments of one message that have come so far.
struct FragmentQueue: Sendable {
    /// The parts that only the first fragment brings.
    struct First: Sendable {
        let header: IKEHeader
        let payloads: [Payload]
        let firstPayload: PayloadType
    }

    let total: UInt16
    var first: First?
    private(set) var storedBytes = 0
    private(set) var missing: Int
    /// The contents by number - 1.
    private var contents: [[UInt8]?]

    init(total: UInt16) {
        self.total = total
        missing = Int(total)
        contents = Array(repeating: nil, count: Int(total))
    }

    /// `number` is from 1 to `total`.
    func has(_ number: UInt16) -> Bool { contents[Int(number) - 1] != nil }

    mutating func insert(_ content: [UInt8], at number: UInt16) {
        contents[Int(number) - 1] = content
        storedBytes += content.count
        missing -= 1
    }

    func complete() -> ReassembledContent? {
        guard missing == 0, let first else { return nil }
        return ReassembledContent(
            header: first.header, payloads: first.payloads, firstPayload: first.firstPayload,
            content: Array(contents.compactMap(\.self).joined()), fragments: Int(total))
    }
}

/// All fragments of a message, joined, but not decoded.
package struct ReassembledContent: Hashable, Sendable {
    package let header: IKEHeader
    /// The payloads before the Encrypted payload.
    package let payloads: [Payload]
    package let firstPayload: PayloadType
    /// The content of the Encrypted payload.
    package let content: [UInt8]
    /// The number of fragments.
    package let fragments: Int

    /// The message, which is like any other from here on; what fails is authentic, and may be answered.
    package func message(limits: DecodingLimits = .standard) throws(DecodingFailure) -> Message {
        try Message(
            header: header, payloads: payloads, firstEncrypted: firstPayload, content: content, limits: limits)
    }
}
