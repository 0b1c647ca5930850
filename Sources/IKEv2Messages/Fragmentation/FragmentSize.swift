import Packets

/// How large a fragment may be (RFC 7383 section 2.5.1).
public enum FragmentSize {
    private static let udpHeaderLength = 8
    private static let nonESPMarkerLength = 4

    /// Bytes of an IKE message so that its IP packet, without options, has at most `mtu`. `hasMarker`: sent with the
    /// four zero bytes of port 4500.
    public static func messageLength(mtu: Int, family: AddressFamily, hasMarker: Bool) -> Int {
        let ipHeaderLength = family == .ipv4 ? 20 : 40
        return mtu - ipHeaderLength - udpHeaderLength - (hasMarker ? nonESPMarkerLength : 0)
    }

    /// The IP packet size to go by when nothing is known of the path.
    public static func defaultMTU(_ family: AddressFamily) -> Int { family == .ipv4 ? 576 : 1280 }

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
