import CLinux
import Packets
import Platform
import Synchronization

/// Changes to nftables and questions about one table of the family `inet`, one at a time.
///
/// The session belongs to the network namespace of the thread that created it. Calls from several threads take turns.
package final class NetfilterSession: Sendable {
    private struct Connection: ~Copyable {
        var socket: NetlinkSocket
        var sequence: UInt32 = 1

        /// Room for `count` messages, the first and the last one of a batch among them.
        mutating func reserve(_ count: UInt32) -> UInt32 {
            let first = sequence &+ 1
            sequence = sequence &+ count
            return first
        }
    }

    /// The contents of a table, as far as they were asked for.
    package struct Contents: Hashable, Sendable {
        package var counters: [String: NetfilterCounter] = [:]
        /// Comments of rules, in the order of the rules.
        package var comments: [String] = []
    }

    private let connection: Mutex<Connection>
    /// The name of the table.
    package let table: String

    package init(table: String) throws(NetlinkError) {
        self.table = table
        connection = Mutex(Connection(socket: try NetlinkSocket(NETLINK_NETFILTER, receiveTimeoutSeconds: 5)))
    }

    /// Makes changes that come into force together or, when this throws, not at all.
    package func commit(
        _ operation: String, _ changes: (inout NetfilterBatch) -> Void
    ) throws(NetlinkError) {
        try withConnection { connection throws(NetlinkError) in
            var batch = NetfilterBatch(table: table, firstSequence: connection.reserve(1))
            changes(&batch)
            let datagram = batch.datagram
            _ = connection.reserve(batch.lastSequence &- connection.sequence &+ 1)
            // The kernel counts its own overhead too.
            connection.socket.enlargeSendBuffer(toBytes: max(2 * datagram.count, 1 << 20))
            connection.socket.enlargeReceiveBuffer(toBytes: Int32(clamping: max(2 * datagram.count, 1 << 20)))
            try connection.socket.send(datagram)
            try Self.awaitAnswers(&connection, batch, operation)
        }
    }

    /// Refusals come in order, then the answer to the last change; the first refusal says why nothing was done.
    private static func awaitAnswers(
        _ connection: inout Connection, _ batch: NetfilterBatch, _ operation: String
    ) throws(NetlinkError) {
        var refusal: NetlinkError?
        while true {
            guard case .messages(let messages) = try connection.socket.receive(wait: true) else {
                throw refusal ?? .unexpectedAnswer(operation: operation)
            }
            for received in messages where batch.holds(received.sequence) {
                if case .refused(let code, let reason) = received.message, refusal == nil {
                    refusal = .refused(Errno(rawValue: code), operation: operation, reason: reason)
                }
                guard received.sequence == batch.lastSequence || batch.isFirst(received.sequence) else { continue }
                if let refusal { throw refusal }
                if received.sequence == batch.lastSequence { return }
            }
        }
    }

    /// The contents of the table; nil when there is none of its name.
    package func contents() throws(NetlinkError) -> Contents? {
        try withConnection { connection throws(NetlinkError) in
            guard try Self.isThere(table, &connection) else { return nil }
            var contents = Contents()
            try Self.dump(NFT_MSG_GETOBJ, table, &connection) { payload in
                if let (name, counter) = NetfilterDecoder.counter(payload) { contents.counters[name] = counter }
            }
            try Self.dump(NFT_MSG_GETRULE, table, &connection) { payload in
                if let comment = NetfilterDecoder.comment(payload) { contents.comments.append(comment) }
            }
            return contents
        }
    }

    /// Whether there is a table of the name.
    package func exists() throws(NetlinkError) -> Bool {
        try withConnection { connection throws(NetlinkError) in try Self.isThere(table, &connection) }
    }

    private static func isThere(_ table: String, _ connection: inout Connection) throws(NetlinkError) -> Bool {
        do throws(NetlinkError) {
            try ask(NFT_MSG_GETTABLE, NLM_F_ACK, table, &connection) { _ in }
            return true
        } catch {
            if error.errno == .noSuchFileOrDirectory { return false }
            throw error
        }
    }

    private static func dump(
        _ type: nf_tables_msg_types, _ table: String, _ connection: inout Connection,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(NetlinkError) {
        try ask(type, NLM_F_ROOT | NLM_F_MATCH, table, &connection, body)
    }

    /// Sends one question and hands every answer's payload to `body`.
    private static func ask(
        _ type: nf_tables_msg_types, _ flags: Int32, _ table: String, _ connection: inout Connection,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(NetlinkError) {
        let sequence = connection.reserve(1)
        let operation = "read table \(table)"
        var header = nfgenmsg()
        header.nfgen_family = NetfilterBatch.family
        var writer = MessageWriter(
            .init(
                type: UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(type.rawValue),
                flags: UInt16(NLM_F_REQUEST | flags), sequence: sequence),
            fixedPart: header)
        // In each of these questions the table's name has the same number.
        writer.attribute(Int(NFTA_TABLE_NAME.rawValue), table)
        try connection.socket.send(writer)
        while true {
            var end: Int32?
            let reception = try connection.socket.receiveDatagram(wait: true) { datagram in
                end = NetfilterDecoder.answers(datagram, sequence: sequence, body)
            }
            guard case .datagram = reception else { throw .unexpectedAnswer(operation: operation) }
            guard let end else { continue }
            guard end == 0 else { throw .refused(Errno(rawValue: end), operation: operation, reason: nil) }
            return
        }
    }

    private func withConnection<Value: Sendable>(
        _ body: (inout Connection) throws(NetlinkError) -> Value
    ) throws(NetlinkError) -> Value {
        let result: Result<Value, NetlinkError> = connection.withLock { connection in
            do throws(NetlinkError) {
                return .success(try body(&connection))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

extension NetfilterBatch {
    /// Whether an answer is to a message of this batch.
    func holds(_ sequence: UInt32) -> Bool { sequence &- firstSequence <= lastSequence &- firstSequence }

    func isFirst(_ sequence: UInt32) -> Bool { sequence == firstSequence }
}

/// Reads answers of nfnetlink. Pure; nothing in a datagram can make it trap.
enum NetfilterDecoder {
    /// Hands the payload of every message to `body`; the errno value (0: none) once the answer has come to its end, else nil.
    static func answers(
        _ datagram: UnsafeRawBufferPointer, sequence: UInt32, _ body: (UnsafeRawBufferPointer) -> Void
    ) -> Int32? {
        var envelopes = EnvelopeSequence(datagram)
        while let envelope = envelopes.next() {
            guard envelope.header.nlmsg_seq == sequence else { continue }
            switch Int32(envelope.header.nlmsg_type) {
            // Both begin with a negative errno value or 0.
            case Int32(NLMSG_ERROR), Int32(NLMSG_DONE): return 0 &- (envelope.payload.load(Int32.self) ?? 0)
            default: body(envelope.payload)
            }
        }
        return envelopes.isMalformed ? Errno.badMessage.rawValue : nil
    }

    /// Name and value of a counter, from `NFT_MSG_NEWOBJ`.
    static func counter(_ payload: UnsafeRawBufferPointer) -> (String, NetfilterCounter)? {
        var name: String?
        var counter: NetfilterCounter?
        for (type, value) in AttributeSequence(payload, behind: nfgenmsg.self) {
            if type == Int(NFTA_OBJ_NAME.rawValue) { name = value.text }
            guard type == Int(NFTA_OBJ_DATA.rawValue) else { continue }
            var found = NetfilterCounter()
            for (type, value) in AttributeSequence(value) {
                guard let number = value.load(UInt64.self) else { continue }
                if type == Int(NFTA_COUNTER_BYTES.rawValue) { found.bytes = UInt64(bigEndian: number) }
                if type == Int(NFTA_COUNTER_PACKETS.rawValue) { found.packets = UInt64(bigEndian: number) }
            }
            counter = found
        }
        guard let name, let counter else { return nil }
        return (name, counter)
    }

    /// The comment of a rule, from `NFT_MSG_NEWRULE`.
    static func comment(_ payload: UnsafeRawBufferPointer) -> String? {
        for (type, value) in AttributeSequence(payload, behind: nfgenmsg.self)
        where type == Int(NFTA_RULE_USERDATA.rawValue) {
            guard value.count > 2, value[0] == 0 else { return nil }
            return value.dropping(2).text
        }
        return nil
    }
}
