import CLinux
import Packets
import Platform

/// One message inside a received datagram. Valid only while the datagram is.
struct Envelope {
    let header: nlmsghdr
    /// The bytes behind the header, without padding.
    let payload: UnsafeRawBufferPointer
}

/// The messages of a datagram, in order. Ends early at the first header that does not fit; `isMalformed` tells.
struct EnvelopeSequence: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer
    private(set) var isMalformed = false

    init(_ datagram: UnsafeRawBufferPointer) { rest = datagram }

    mutating func next() -> Envelope? {
        guard !rest.isEmpty else { return nil }
        let headerLength = MemoryLayout<nlmsghdr>.size
        guard let header = rest.load(nlmsghdr.self), let length = Int(exactly: header.nlmsg_len),
            length >= headerLength, length <= rest.count
        else {
            isMalformed = true
            rest = .init(start: nil, count: 0)
            return nil
        }
        let payload = UnsafeRawBufferPointer(rebasing: rest[headerLength..<length])
        rest = rest.dropping(aligned(length))
        return Envelope(header: header, payload: payload)
    }
}

/// The attributes of a message or of a nested attribute, in order. Ends at the first that does not fit.
struct AttributeSequence: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer

    /// - Parameter bytes: attributes, each with `nlattr` in front and padded to 4 bytes.
    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    /// The attributes behind a fixed part of type `Fixed`.
    init<Fixed: BitwiseCopyable>(_ payload: UnsafeRawBufferPointer, behind _: Fixed.Type) {
        rest = payload.dropping(aligned(MemoryLayout<Fixed>.size))
    }

    /// The attribute's type without its flag bits, and its payload without padding.
    mutating func next() -> (type: Int, payload: UnsafeRawBufferPointer)? {
        let headerLength = MemoryLayout<nlattr>.size
        guard let header = rest.load(nlattr.self) else { return nil }
        let length = Int(header.nla_len)
        guard length >= headerLength, length <= rest.count else { return nil }
        let payload = UnsafeRawBufferPointer(rebasing: rest[headerLength..<length])
        rest = rest.dropping(aligned(length))
        return (Int(header.nla_type & 0x3fff), payload)
    }
}

/// Rounds up to the 4 bytes that netlink aligns everything to. `length` is at most a datagram's.
func aligned(_ length: Int) -> Int { (length + 3) & ~3 }

extension UnsafeRawBufferPointer {
    /// The value at the start, or nil when too few bytes are there.
    func load<Value: BitwiseCopyable>(_: Value.Type) -> Value? {
        guard count >= MemoryLayout<Value>.size else { return nil }
        return loadUnaligned(as: Value.self)
    }

    /// The bytes behind the first `length` ones; empty when there are no more.
    func dropping(_ length: Int) -> UnsafeRawBufferPointer {
        guard length < count else { return .init(start: nil, count: 0) }
        return .init(rebasing: self[length...])
    }

    /// An address of `family`; nil unless the length is exactly that family's.
    func address(_ family: AddressFamily) -> IPAddress? {
        guard let base = baseAddress, count == family.byteCount else { return nil }
        return IPAddress(loading: base, family: family)
    }

    /// Six bytes of a link-layer address; nil at any other length.
    var macAddress: MACAddress? {
        guard let base = baseAddress, count == 6 else { return nil }
        return MACAddress(loading: base)
    }

    /// Text up to the terminating zero.
    var text: String { String(decoding: prefix { $0 != 0 }, as: UTF8.self) }
}

extension AddressFamily {
    /// The family that `AF_INET` or `AF_INET6` stands for; nil for all others.
    init?(kernel: UInt8) {
        self.init(domain: Int32(kernel))
    }

    /// `AF_INET` or `AF_INET6`.
    var kernel: UInt8 { UInt8(truncatingIfNeeded: domain) }
}
