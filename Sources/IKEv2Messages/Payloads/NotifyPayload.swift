import Packets

/// N: an error or a status (RFC 7296 section 3.10).
///
///     |  Protocol ID  |   SPI Size    |      Notify Message Type      |
///     ~                Security Parameter Index (SPI)                 ~
///     ~                       Notification Data                       ~
package struct NotifyPayload: Hashable, Sendable {
    package let type: NotifyType
    /// The protocol of the SA that `spi` names; without an SPI it is sent as zero and ignored on receipt.
    package let protocolID: ProtocolID
    package let spi: [UInt8]
    package let data: [UInt8]

    package init(_ type: NotifyType, protocolID: ProtocolID = .none, spi: [UInt8] = [], data: [UInt8] = []) {
        self.type = type
        self.protocolID = spi.isEmpty ? .none : protocolID
        self.spi = spi
        self.data = data
    }

    /// About a CHILD_SA: REKEY_SA, CHILD_SA_NOT_FOUND, INVALID_SELECTORS.
    package init(_ type: NotifyType, protocolID: ProtocolID, childSPI: SPI, data: [UInt8] = []) {
        self.init(type, protocolID: protocolID, spi: childSPI.bytes, data: data)
    }

    /// The SPI of an ESP or AH SA.
    package var childSPI: SPI? {
        protocolID == .esp || protocolID == .ah ? SPI(bytes: spi) : nil
    }
}

extension NotifyPayload: PayloadBody {
    init(from reader: inout ByteReader) throws(DecodingFailure) {
        let protocolID = ProtocolID(rawValue: try reader.uint8())
        let spiSize = Int(try reader.uint8())
        let type = NotifyType(rawValue: try reader.uint16())
        let spi = try reader.take(spiSize)
        self.init(type, protocolID: protocolID, spi: spi, data: reader.takeAll())
    }

    func encode(into writer: inout ByteWriter) throws(EncodingFailure) {
        writer.append(protocolID.rawValue)
        try writer.append(count: spi.count, of: "SPI size")
        writer.append(type.rawValue)
        writer.append(spi)
        writer.append(data)
    }
}

// Notification data that has a structure. A reader gives nil when the type or the size is not that of the notification.
extension NotifyPayload {
    /// INVALID_KE_PAYLOAD: the method wanted (RFC 7296 section 1.2).
    package static func invalidKeyExchange(wanted method: KeyExchangeID) -> NotifyPayload {
        NotifyPayload(.invalidKeyExchange, data: networkOrder([method.rawValue]))
    }

    package var wantedKeyExchange: KeyExchangeID? {
        type == .invalidKeyExchange && data.count == 2 ? KeyExchangeID(rawValue: words[0]) : nil
    }

    /// SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 4).
    package static func signatureHashAlgorithms(_ algorithms: [HashAlgorithm]) -> NotifyPayload {
        NotifyPayload(.signatureHashAlgorithms, data: networkOrder(algorithms.map(\.rawValue)))
    }

    package var signatureHashAlgorithms: [HashAlgorithm]? {
        guard type == .signatureHashAlgorithms, data.count.isMultiple(of: 2) else { return nil }
        return words.map(HashAlgorithm.init(rawValue:))
    }

    /// SET_WINDOW_SIZE: requests that the sender is ready to have outstanding (RFC 7296 section 2.3).
    package static func windowSize(_ size: UInt32) -> NotifyPayload {
        NotifyPayload(.setWindowSize, data: networkOrder([size]))
    }

    package var windowSize: UInt32? {
        type == .setWindowSize && data.count == 4 ? data.reduce(0) { $0 << 8 | UInt32($1) } : nil
    }

    /// AUTH_LIFETIME in seconds (RFC 4478).
    package var authenticationLifetimeInSeconds: UInt32? {
        type == .authenticationLifetime && data.count == 4 ? data.reduce(0) { $0 << 8 | UInt32($1) } : nil
    }

    /// INVALID_MESSAGE_ID: the message id that was out of the window (RFC 7296 section 2.3).
    package static func invalidMessageID(_ messageID: UInt32) -> NotifyPayload {
        NotifyPayload(.invalidMessageID, data: networkOrder([messageID]))
    }

    /// ADDITIONAL_IP4_ADDRESS or ADDITIONAL_IP6_ADDRESS (RFC 4555 section 4.2.2).
    package static func additionalAddress(_ address: IPAddress) -> NotifyPayload {
        var writer = ByteWriter()
        writer.append(address)
        return NotifyPayload(
            address.family == .ipv4 ? .additionalIP4Address : .additionalIP6Address, data: writer.bytes)
    }

    package var additionalAddress: IPAddress? {
        switch type {
        case .additionalIP4Address: IPAddress(networkOrder: data, family: .ipv4)
        case .additionalIP6Address: IPAddress(networkOrder: data, family: .ipv6)
        default: nil
        }
    }

    /// IKEV2_MESSAGE_ID_SYNC (RFC 6311 section 7.3).
    package struct MessageIDSync: Hashable, Sendable {
        package let nonce: UInt32
        package let expectedSendRequest: UInt32
        package let expectedReceiveRequest: UInt32

        package init(nonce: UInt32, expectedSendRequest: UInt32, expectedReceiveRequest: UInt32) {
            self.nonce = nonce
            self.expectedSendRequest = expectedSendRequest
            self.expectedReceiveRequest = expectedReceiveRequest
        }
    }

    package static func messageIDSync(_ sync: MessageIDSync) -> NotifyPayload {
        NotifyPayload(
            .messageIDSync,
            data: networkOrder([sync.nonce, sync.expectedSendRequest, sync.expectedReceiveRequest]))
    }

    package var messageIDSync: MessageIDSync? {
        guard type == .messageIDSync, data.count == 12 else { return nil }
        let values = stride(from: 0, to: 12, by: 4).map { start in
            data[start..<start + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
        return MessageIDSync(
            nonce: values[0], expectedSendRequest: values[1], expectedReceiveRequest: values[2])
    }

    /// The data as 16-bit integers, an odd last byte left out.
    private var words: [UInt16] {
        stride(from: 0, to: data.count - 1, by: 2).map { UInt16(data[$0]) << 8 | UInt16(data[$0 + 1]) }
    }

    private static func networkOrder(_ values: [UInt16]) -> [UInt8] {
        var writer = ByteWriter()
        for value in values { writer.append(value) }
        return writer.bytes
    }

    private static func networkOrder(_ values: [UInt32]) -> [UInt8] {
        var writer = ByteWriter()
        for value in values { writer.append(value) }
        return writer.bytes
    }
}
