import CLinux
import Packets

/// Changes to one nftables table that come into force together or not at all: a batch of nfnetlink messages between
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END` (linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h).
///
/// Integers of nfnetlink are in network order, unlike those of rtnetlink. Pure: nothing is sent here.
package struct NetfilterBatch: Sendable {
    /// The place where a base chain meets packets.
    package struct Hook: Sendable {
        /// `NF_INET_…` of linux/netfilter.h, which cannot be imported beside netinet/in.h.
        package var number: UInt32
        /// The lower, the earlier.
        package var priority: Int32

        package static func forward(priority: Int32) -> Hook {
            Hook(number: 2, priority: priority)
        }
        package static func output(priority: Int32) -> Hook {
            Hook(number: 3, priority: priority)
        }
        package static func input(priority: Int32) -> Hook {
            Hook(number: 1, priority: priority)
        }
    }

    /// One interval of a verdict map, both ends included, and the chain that its packets go to.
    package struct MapInterval: Hashable, Sendable {
        package var first: IPAddress
        package var last: IPAddress
        package var chain: String

        package init(first: IPAddress, last: IPAddress, chain: String) {
            self.first = first
            self.last = last
            self.chain = chain
        }
    }

    let table: String
    private(set) var bytes: [UInt8] = []
    /// The offset at which the last message begins.
    private var lastMessage = 0
    /// The sequence number of the last message.
    private(set) var lastSequence: UInt32
    let firstSequence: UInt32

    /// `NFPROTO_INET` of linux/netfilter.h: IPv4 and IPv6.
    static let family: UInt8 = 1

    /// An attribute has a 16-bit length, so that the elements of a large map go in several messages.
    static let elementsPerMessage = 400

    init(table: String, firstSequence: UInt32) {
        self.table = table
        self.firstSequence = firstSequence
        lastSequence = firstSequence
        var header = nfgenmsg()
        header.res_id = UInt16(NFNL_SUBSYS_NFTABLES).bigEndian
        append(
            MessageWriter(
                .init(type: UInt16(NFNL_MSG_BATCH_BEGIN), flags: UInt16(NLM_F_REQUEST), sequence: firstSequence),
                fixedPart: header))
    }

    /// The whole datagram. Refused changes are answered; of the others only the last one is, or thousands of answers would
    /// overflow the socket.
    var datagram: [UInt8] {
        var bytes = bytes
        bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress, lastMessage > 0 else { return }
            var message = (base + lastMessage).loadUnaligned(as: nlmsghdr.self)
            message.nlmsg_flags |= UInt16(NLM_F_ACK)
            (base + lastMessage).storeBytes(of: message, as: nlmsghdr.self)
        }
        var header = nfgenmsg()
        header.res_id = UInt16(NFNL_SUBSYS_NFTABLES).bigEndian
        let end = MessageWriter(
            .init(type: UInt16(NFNL_MSG_BATCH_END), flags: UInt16(NLM_F_REQUEST), sequence: lastSequence &+ 1),
            fixedPart: header)
        return bytes + end.bytes
    }

    private mutating func append(_ message: MessageWriter) { bytes += message.bytes }

    /// - Parameter type: `NFT_MSG_…`
    mutating func message(
        _ type: nf_tables_msg_types, _ flags: Int32 = 0, _ body: (inout MessageWriter) -> Void
    ) {
        lastSequence = lastSequence &+ 1
        var header = nfgenmsg()
        header.nfgen_family = Self.family
        var writer = MessageWriter(
            .init(
                type: UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(type.rawValue),
                flags: UInt16(NLM_F_REQUEST | flags), sequence: lastSequence),
            fixedPart: header)
        body(&writer)
        lastMessage = bytes.count
        append(writer)
    }

    // MARK: The parts of a table

    /// Adds the table if it is not there.
    package mutating func addTable() {
        message(NFT_MSG_NEWTABLE, NLM_F_CREATE) { [table] writer in
            writer.attribute(Int(NFTA_TABLE_NAME.rawValue), table)
            writer.networkOrder(Int(NFTA_TABLE_FLAGS.rawValue), UInt32(0))
        }
    }

    /// Deletes the table, which has to be there, and all in it.
    package mutating func deleteTable() {
        message(NFT_MSG_DELTABLE) { [table] in $0.attribute(Int(NFTA_TABLE_NAME.rawValue), table) }
    }

    /// Adds a counter that rules refer to by its name.
    package mutating func addCounter(_ name: String, _ count: NetfilterCounter = .init()) {
        message(NFT_MSG_NEWOBJ, NLM_F_CREATE) { [table] writer in
            writer.attribute(Int(NFTA_OBJ_TABLE.rawValue), table)
            writer.attribute(Int(NFTA_OBJ_NAME.rawValue), name)
            writer.networkOrder(Int(NFTA_OBJ_TYPE.rawValue), UInt32(NFT_OBJECT_COUNTER))
            writer.nested(Int(NFTA_OBJ_DATA.rawValue)) {
                $0.networkOrder(Int(NFTA_COUNTER_BYTES.rawValue), count.bytes)
                $0.networkOrder(Int(NFTA_COUNTER_PACKETS.rawValue), count.packets)
            }
        }
    }

    /// Adds a chain; without a hook one that only others lead to.
    package mutating func addChain(_ name: String, hook: Hook? = nil) {
        message(NFT_MSG_NEWCHAIN, NLM_F_CREATE) { [table] writer in
            writer.attribute(Int(NFTA_CHAIN_TABLE.rawValue), table)
            writer.attribute(Int(NFTA_CHAIN_NAME.rawValue), name)
            guard let hook else { return }
            writer.nested(Int(NFTA_CHAIN_HOOK.rawValue)) {
                $0.networkOrder(Int(NFTA_HOOK_HOOKNUM.rawValue), hook.number)
                $0.networkOrder(Int(NFTA_HOOK_PRIORITY.rawValue), UInt32(bitPattern: hook.priority))
            }
            writer.networkOrder(Int(NFTA_CHAIN_POLICY.rawValue), UInt32(NetfilterExpression.acceptVerdict))
            writer.attribute(Int(NFTA_CHAIN_TYPE.rawValue), "filter")
        }
    }

    /// Appends a rule to a chain. A comment has at most 200 bytes; what is longer is cut.
    package mutating func addRule(_ chain: String, comment: String? = nil, _ expressions: NetfilterExpression...) {
        addRule(chain, comment: comment, expressions)
    }

    package mutating func addRule(_ chain: String, comment: String? = nil, _ expressions: [NetfilterExpression]) {
        message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND) { [table] writer in
            writer.attribute(Int(NFTA_RULE_TABLE.rawValue), table)
            writer.attribute(Int(NFTA_RULE_CHAIN.rawValue), chain)
            writer.nested(Int(NFTA_RULE_EXPRESSIONS.rawValue)) { writer in
                for expression in expressions { expression.write(to: &writer) }
            }
            if let comment { writer.userData(Int(NFTA_RULE_USERDATA.rawValue), comment: comment) }
        }
    }

    /// Adds a map from addresses to chains. The intervals are in order and do not overlap. `number` tells the maps of one
    /// batch apart.
    package mutating func addMap(
        _ name: String, _ family: AddressFamily, number: UInt32, _ intervals: [MapInterval]
    ) {
        message(NFT_MSG_NEWSET, NLM_F_CREATE) { [table] writer in
            writer.attribute(Int(NFTA_SET_TABLE.rawValue), table)
            writer.attribute(Int(NFTA_SET_NAME.rawValue), name)
            writer.networkOrder(
                Int(NFTA_SET_FLAGS.rawValue), NFT_SET_INTERVAL.rawValue | NFT_SET_MAP.rawValue)
            // The types of nft(8): they tell it only how to print the map.
            writer.networkOrder(Int(NFTA_SET_KEY_TYPE.rawValue), UInt32(family == .ipv4 ? 7 : 8))
            writer.networkOrder(Int(NFTA_SET_KEY_LEN.rawValue), UInt32(family.byteCount))
            writer.networkOrder(Int(NFTA_SET_DATA_TYPE.rawValue), UInt32(NFT_DATA_VERDICT.rawValue))
            writer.networkOrder(Int(NFTA_SET_DATA_LEN.rawValue), UInt32(0))
            writer.networkOrder(Int(NFTA_SET_ID.rawValue), number)
        }
        for start in stride(from: 0, to: intervals.count, by: Self.elementsPerMessage) {
            let part = intervals[start..<min(start + Self.elementsPerMessage, intervals.count)]
            addElements(part, to: name, number: number, isFirst: start == 0)
        }
    }

    private mutating func addElements(
        _ intervals: ArraySlice<MapInterval>, to name: String, number: UInt32, isFirst: Bool
    ) {
        message(NFT_MSG_NEWSETELEM, NLM_F_CREATE) { [table] writer in
            writer.attribute(Int(NFTA_SET_ELEM_LIST_TABLE.rawValue), table)
            writer.attribute(Int(NFTA_SET_ELEM_LIST_SET.rawValue), name)
            writer.networkOrder(Int(NFTA_SET_ELEM_LIST_SET_ID.rawValue), number)
            writer.nested(Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue)) { writer in
                if isFirst, let first = intervals.first?.first, !first.isUnspecified {
                    writer.element(.unspecified(first.family), chain: nil)
                }
                for interval in intervals {
                    writer.element(interval.first, chain: interval.chain)
                    // Without an end the interval reaches to the last address.
                    if !interval.last.isLast { writer.element(interval.last.successor, chain: nil) }
                }
            }
        }
    }
}

/// The values of a counter of a table.
package struct NetfilterCounter: Hashable, Sendable {
    package var packets: UInt64
    package var bytes: UInt64

    package init(packets: UInt64 = 0, bytes: UInt64 = 0) {
        self.packets = packets
        self.bytes = bytes
    }
}

// MARK: - Attributes of nfnetlink

extension MessageWriter {
    /// An attribute with an integer in network order.
    mutating func networkOrder(_ type: Int, _ value: some FixedWidthInteger & BitwiseCopyable) {
        attribute(type, value.bigEndian)
    }

    /// An attribute that holds attributes.
    mutating func nested(_ type: Int, _ body: (inout MessageWriter) -> Void) {
        attribute(type | Int(NLA_F_NESTED), body)
    }

    /// An attribute with a value to compare with or to look up.
    mutating func data(_ type: Int, _ value: [UInt8]) {
        nested(type) { $0.attribute(Int(NFTA_DATA_VALUE.rawValue), raw: value) }
    }

    mutating func attribute(_ type: Int, raw: [UInt8]) {
        attribute(type) { writer in raw.forEach { writer.append($0) } }
    }

    /// A verdict: `NF_DROP`, `NF_ACCEPT`, `NFT_RETURN`, or a jump to a chain.
    mutating func verdict(_ type: Int, code: Int32, chain: String? = nil) {
        nested(type) { writer in
            writer.nested(Int(NFTA_DATA_VERDICT.rawValue)) { writer in
                writer.networkOrder(Int(NFTA_VERDICT_CODE.rawValue), code)
                if let chain { writer.attribute(Int(NFTA_VERDICT_CHAIN.rawValue), chain) }
            }
        }
    }

    /// One end of an interval: its start with where to go, or the first address behind it.
    fileprivate mutating func element(_ address: IPAddress, chain: String?) {
        nested(Int(NFTA_LIST_ELEM.rawValue)) { writer in
            writer.nested(Int(NFTA_SET_ELEM_KEY.rawValue)) {
                $0.attribute(Int(NFTA_DATA_VALUE.rawValue), address)
            }
            guard let chain else {
                writer.networkOrder(Int(NFTA_SET_ELEM_FLAGS.rawValue), NFT_SET_ELEM_INTERVAL_END.rawValue)
                return
            }
            writer.verdict(Int(NFTA_SET_ELEM_DATA.rawValue), code: NFT_GOTO.rawValue, chain: chain)
        }
    }

    /// A comment as nft(8) writes and prints it: type 0, its length, text with a zero at its end.
    fileprivate mutating func userData(_ type: Int, comment: String) {
        let text = Array(comment.utf8.prefix(200)) + [0]
        attribute(type, raw: [0, UInt8(truncatingIfNeeded: text.count)] + text)
    }
}

extension IPAddress {
    /// Whether it is the last of its family.
    var isLast: Bool { self == IPPrefix.all(family).last }

    /// 4 or 16 bytes in network order.
    var networkBytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: family.byteCount)
        bytes.withUnsafeMutableBytes { buffer in
            if let base = buffer.baseAddress { store(to: base) }
        }
        return bytes
    }
}
