import CLinux
import Packets

/// Writes one netlink message: a header, a fixed part, attributes. Lengths are filled in as the message grows.
///
/// Everything is in host byte order, as netlink wants it, but for addresses, which are in network order.
package struct MessageWriter: Sendable {
    /// Header values that are known before the message is sent.
    package struct Header: Sendable {
        /// `RTM_…`
        package var type: UInt16
        /// `NLM_F_…`
        package var flags: UInt16
        /// Chosen by the sender; answers repeat it.
        package var sequence: UInt32

        package init(type: UInt16, flags: UInt16, sequence: UInt32) {
            self.type = type
            self.flags = flags
            self.sequence = sequence
        }
    }

    /// The message so far; its length field is always right.
    package private(set) var bytes: [UInt8] = []

    package init(_ header: Header, fixedPart: some BitwiseCopyable) {
        var raw = nlmsghdr()
        raw.nlmsg_type = header.type
        raw.nlmsg_flags = header.flags
        raw.nlmsg_seq = header.sequence
        append(raw)
        append(fixedPart)
        pad()
        updateLength()
    }

    /// Appends an attribute with an integer.
    package mutating func attribute(_ type: Int, _ value: some FixedWidthInteger & BitwiseCopyable) {
        attribute(type) { writer in writer.append(value) }
    }

    /// Appends an attribute with an address in network order, 4 or 16 bytes.
    package mutating func attribute(_ type: Int, _ address: IPAddress) {
        attribute(type) { writer in writer.append(address) }
    }

    /// Appends an attribute with a zero-terminated string.
    package mutating func attribute(_ type: Int, _ text: String) {
        attribute(type) { writer in
            writer.bytes.append(contentsOf: text.utf8)
            writer.bytes.append(0)
        }
    }

    /// Appends an attribute whose payload `body` writes: further attributes, or raw values.
    package mutating func attribute(_ type: Int, _ body: (inout MessageWriter) -> Void) {
        let start = bytes.count
        append(nlattr(nla_len: 0, nla_type: UInt16(truncatingIfNeeded: type)))
        body(&self)
        store(UInt16(truncatingIfNeeded: bytes.count - start), at: start)
        pad()
        updateLength()
    }

    /// Appends one next hop of a multipath route: `rtnexthop`, then attributes written by `body`.
    mutating func multipathHop(_ hop: rtnexthop, _ body: (inout MessageWriter) -> Void) {
        let start = bytes.count
        append(hop)
        body(&self)
        store(UInt16(truncatingIfNeeded: bytes.count - start), at: start)
    }

    /// Appends a value's bytes as they lie in memory.
    mutating func append(_ value: some BitwiseCopyable) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    /// Appends an address in network order.
    mutating func append(_ address: IPAddress) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: address.bitWidth / 8))
        bytes.withUnsafeMutableBytes { buffer in
            if let base = buffer.baseAddress { address.store(to: base + start) }
        }
    }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    private mutating func updateLength() {
        let length = UInt32(truncatingIfNeeded: bytes.count)
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: length, toByteOffset: 0, as: UInt32.self) }
    }

    private mutating func store(_ value: UInt16, at offset: Int) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: UInt16.self) }
    }
}
