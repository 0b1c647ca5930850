@testable import Netlink

/// Joins the bytes of a message's annotated lines.
@resultBuilder
enum BytesBuilder {
    static func buildExpression(_ part: [UInt8]) -> [UInt8] { part }
    static func buildBlock(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }
    static func buildArray(_ parts: [[UInt8]]) -> [UInt8] { parts.flatMap { $0 } }
}

/// A message: 16 bytes of header, then `payload`, padded to 4 bytes as the kernel does.
func message(type: UInt16, flags: UInt16, sequence: UInt32, @BytesBuilder payload: () -> [UInt8]) -> [UInt8] {
    let payload = payload()
    let length = UInt32(16 + payload.count)
    var bytes = littleEndian(length) + littleEndian(type) + littleEndian(flags) + littleEndian(sequence)
    bytes += [0, 0, 0, 0] + payload
    while bytes.count % 4 != 0 { bytes.append(0) }
    return bytes
}

func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

func decode(_ bytes: [UInt8]) -> [NetlinkReply] {
    bytes.withUnsafeBytes { NetlinkDecoder.decode($0) }
}
