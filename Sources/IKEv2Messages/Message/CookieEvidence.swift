/// Evidence that a cookie is judged by: the nonce of an IKE_SA_INIT request and the cookie that it brings (RFC 7296 section 2.6).
/// Found without decoding the message, since that is what a flood of requests must not cost.
package struct CookieEvidence: Hashable, Sendable {
    package let nonce: [UInt8]
    /// The content of N(COOKIE), if that is the first payload.
    package let cookie: [UInt8]?

    private static let genericHeaderLength = 4
    private static let mostPayloads = 64

    /// Nil for what is no chain of payloads with a nonce of 16 to 256 bytes (section 3.9).
    package init?(initialRequest bytes: [UInt8]) {
        guard bytes.count >= IKEHeader.length else { return nil }
        var type = PayloadType(rawValue: bytes[16])
        var offset = IKEHeader.length
        var cookie: [UInt8]?
        for number in 0..<Self.mostPayloads {
            guard bytes.count - offset >= Self.genericHeaderLength else { return nil }
            let length = Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
            guard length >= Self.genericHeaderLength, length <= bytes.count - offset else { return nil }
            let content = bytes[offset + Self.genericHeaderLength..<offset + length]
            if type == .nonce {
                guard (16...256).contains(content.count) else { return nil }
                nonce = Array(content)
                self.cookie = cookie
                return
            }
            if type == .notify, number == 0 { cookie = Self.cookie(content) }
            type = PayloadType(rawValue: bytes[offset])
            offset += length
        }
        return nil
    }

    /// Protocol id, SPI size, type, SPI, data (section 3.10).
    private static func cookie(_ notify: ArraySlice<UInt8>) -> [UInt8]? {
        let start = notify.startIndex
        guard notify.count >= 4 else { return nil }
        let type = NotifyType(rawValue: UInt16(notify[start + 2]) << 8 | UInt16(notify[start + 3]))
        guard type == .cookie, notify[start + 1] == 0 else { return nil }
        return Array(notify.dropFirst(4))
    }
}
