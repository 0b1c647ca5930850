import Glibc

/// Splits an IPv4 packet into fragments that fit an MTU (RFC 791 section 3.2), one per call, without allocation.
///
/// The first fragment has all options, later ones only those with the copy bit. A packet that is itself a fragment
/// is split further: offsets add up, and only the last piece takes over its "more fragments".
public struct IPv4Fragmenter {
    private let packet: UnsafeRawPointer
    private let headerLength: Int
    private let laterHeaderLength: Int
    private let dataLength: Int
    private let mtu: Int
    /// Bytes of data already in fragments.
    private var done = 0
    private var isFinished = false

    /// A fragmenter; nil when the packet is malformed, may not be fragmented (DF), or the MTU has no room for eight
    /// bytes of data.
    ///
    /// - Parameters:
    ///   - packet: the IPv4 header; must outlive the fragmenter. Not changed.
    ///   - available: bytes that may be read from it.
    ///   - mtu: the largest fragment in bytes, header included.
    public init?(_ packet: UnsafeMutableRawPointer, available: Int, mtu: Int) {
        guard let header = IPv4Header(packet, available: available), !header.dontFragment,
            let copiedOptions = IPv4Fragmenter.copiedOptionsLength(header.options)
        else { return nil }
        self.packet = UnsafeRawPointer(packet)
        self.mtu = mtu
        headerLength = header.headerLength
        laterHeaderLength = 20 &+ (copiedOptions &+ 3) / 4 &* 4
        dataLength = header.payloadLength
        guard mtu >= headerLength &+ 8, header.fragmentOffset &+ header.totalLength <= 65_535 else { return nil }
        if header.moreFragments, dataLength % 8 != 0 { return nil }
    }

    /// The number of all fragments.
    public var fragmentCount: Int {
        if dataLength <= mtu &- headerLength { return 1 }
        var remaining = dataLength &- (mtu &- headerLength) & ~7
        var count = 2
        let room = mtu &- laterHeaderLength
        while remaining > room {
            remaining &-= room & ~7
            count &+= 1
        }
        return count
    }

    /// Lets a packet of this host be fragmented: takes its DF away and gives it an identification (RFC 6864 section 4.1).
    ///
    /// - `packet`: a complete header, without options.
    public static func allow(_ packet: UnsafeMutableRawPointer, identification: UInt16) {
        packet.store(identification, at: 4)
        packet.store(UInt16(0), at: 6)
        packet.store(UInt16(0), at: 10)
        packet.store(Checksum.internet(packet, count: IPv4Header.minimumLength), at: 10)
    }

    /// Writes the next fragment, a complete IPv4 packet.
    ///
    /// - Parameter buffer: room for `mtu` bytes, or for the whole packet if that is less. Does not overlap the packet.
    /// - Returns: the fragment's length in bytes; 0 when all are written.
    public mutating func next(into buffer: UnsafeMutableRawPointer) -> Int {
        if isFinished { return 0 }
        let isFirst = done == 0
        let length = isFirst ? headerLength : laterHeaderLength
        let remaining = dataLength &- done
        let isLast = remaining <= mtu &- length
        let count = isLast ? remaining : (mtu &- length) & ~7

        memcpy(buffer, packet, isFirst ? headerLength : 20)
        if !isFirst { copyOptions(to: buffer + 20) }
        memcpy(buffer + length, packet + headerLength + done, count)

        buffer.store(0x40 | UInt8(truncatingIfNeeded: length / 4), at: 0)
        buffer.store(UInt16(truncatingIfNeeded: length &+ count), at: 2)
        let field = packet.uint16(at: 6)
        let offset = (field & 0x1FFF) &+ UInt16(truncatingIfNeeded: done / 8)
        buffer.store(field & 0xE000 | (isLast ? 0 : 0x2000) | offset, at: 6)
        buffer.store(UInt16(0), at: 10)
        buffer.store(Checksum.internet(buffer, count: length), at: 10)
        done &+= count
        isFinished = isLast
        return length &+ count
    }

    /// Bytes of the options that go into every fragment, nil when an option is malformed.
    private static func copiedOptionsLength(_ options: UnsafeMutableRawBufferPointer) -> Int? {
        guard let start = options.baseAddress else { return 0 }
        var offset = 0
        var copied = 0
        while offset < options.count {
            guard let length = optionLength(start + offset, available: options.count &- offset) else { return nil }
            if length == 0 { break }
            if start.uint8(at: offset) & 0x80 != 0 { copied &+= length }
            offset &+= length
        }
        return copied
    }

    /// The options with the copy bit, padded with "end of options". Their lengths were checked at the start.
    private func copyOptions(to buffer: UnsafeMutableRawPointer) {
        let options = packet + 20
        let end = headerLength &- 20
        var offset = 0
        var written = 0
        while offset < end,
            let length = IPv4Fragmenter.optionLength(options + offset, available: end &- offset), length > 0
        {
            if options.uint8(at: offset) & 0x80 != 0 {
                memcpy(buffer + written, options + offset, length)
                written &+= length
            }
            offset &+= length
        }
        while written < laterHeaderLength &- 20 {
            buffer.store(UInt8(0), at: written)
            written &+= 1
        }
    }

    /// Bytes of the option at `option`: 0 at the end of the list, nil when it does not fit the header.
    private static func optionLength(_ option: UnsafeRawPointer, available: Int) -> Int? {
        switch option.uint8(at: 0) {
        case 0: return 0
        case 1: return 1
        default:
            guard available >= 2 else { return nil }
            let length = Int(option.uint8(at: 1))
            return length >= 2 && length <= available ? length : nil
        }
    }
}
