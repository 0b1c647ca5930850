import Packets

// Sending in fragments (RFC 7383 section 2.5): the content is cut into pieces of about equal size regardless of payload
// borders, each is sealed by itself under the header of the message. Outer payloads go with the first (section 2.5.3).

extension Message {
    /// The datagrams for this message, none larger than `maximumLength` bytes (``FragmentSize``): one with SK when it
    /// fits, else at least two with SKF.
    ///
    /// `moreThan`: the number of fragments of an earlier, larger try; the new one then has more, so that the receiver
    /// can tell the sets apart (section 2.5.2).
    package func sealed(
        with cipher: some MessageCipher, maximumLength: Int, moreThan earlierTotal: Int = 0
    ) throws(SealingFailure) -> [[UInt8]] {
        let message = try UnsealedMessage(self)
        var outer = ByteWriter()
        do { try PayloadChain.encode(payloads, into: &outer) } catch { throw .encoding(error) }

        let whole = FragmentSize.capacity(of: maximumLength, cipher: cipher, isFragment: false) - outer.count
        if earlierTotal == 0 && message.content.count <= whole {
            return [try message.seal(with: cipher)]
        }
        let sizes = try Self.fragmentSizes(
            content: message.content.count, outer: outer.count, earlierTotal: earlierTotal,
            maximumLength: maximumLength, cipher: cipher)
        guard let total = UInt16(exactly: sizes.count) else { throw .fragmentTooSmall }
        var datagrams: [[UInt8]] = []
        var rest = message.content[...]
        for (index, size) in sizes.enumerated() {
            guard let position = FragmentPosition(number: UInt16(index + 1), total: total) else {
                throw .fragmentTooSmall
            }
            datagrams.append(
                try message.seal(
                    rest.prefix(size), payloads: index == 0 ? payloads : [], fragment: position, with: cipher))
            rest = rest.dropFirst(size)
        }
        return datagrams
    }

    /// Bytes of content for each fragment: at most the room it has, and otherwise as equal as can be.
    private static func fragmentSizes(
        content: Int, outer: Int, earlierTotal: Int, maximumLength: Int, cipher: some MessageCipher
    ) throws(SealingFailure) -> [Int] {
        let room = FragmentSize.capacity(of: maximumLength, cipher: cipher, isFragment: true)
        // With outer payloads the first may have to go without content.
        let firstRoom = FragmentSize.capacity(of: maximumLength - outer, cipher: cipher, isFragment: true)
        guard room > 0, firstRoom >= 0 else { throw .fragmentTooSmall }

        let needed = 1 + (max(0, content - firstRoom) + room - 1) / room
        let count = max(needed, earlierTotal + 1)
        if count > Int(UInt16.max) { throw .fragmentTooSmall }
        let first = count == 1 ? content : min(firstRoom, (content + count - 1) / count)
        var sizes = [first]
        var (rest, fragmentsLeft) = (content - first, count - 1)
        while fragmentsLeft > 0 {
            let size = (rest + fragmentsLeft - 1) / fragmentsLeft
            sizes.append(size)
            rest -= size
            fragmentsLeft -= 1
        }
        return sizes
    }
}

/// Size that a fragment may have (RFC 7383 section 2.5.1).
package enum FragmentSize {
    private static let udpHeaderLength = 8
    private static let nonESPMarkerLength = 4

    /// Bytes of an IKE message so that its IP packet, without options, has at most `mtu`. `hasMarker`: sent with the
    /// four zero bytes of port 4500.
    package static func messageLength(mtu: Int, family: AddressFamily, hasMarker: Bool) -> Int {
        let ipHeaderLength = family == .ipv4 ? 20 : 40
        return mtu - ipHeaderLength - udpHeaderLength - (hasMarker ? nonESPMarkerLength : 0)
    }

    /// The IP packet size to go by when nothing is known of the path.
    package static func defaultMTU(_ family: AddressFamily) -> Int { family == .ipv4 ? 576 : 1280 }

    /// Bytes of content that an encrypted message of at most `length` bytes carries; negative when there is no room
    /// even for none.
    static func capacity(of length: Int, cipher: some MessageCipher, isFragment: Bool) -> Int {
        let overhead =
            IKEHeader.length + PayloadChain.headerLength + (isFragment ? FragmentPosition.length : 0)
            + cipher.ivLength + cipher.icvLength
        let ciphertext = (length - overhead) / cipher.blockLength * cipher.blockLength
        return length < overhead ? -1 : ciphertext - 1
    }
}
