import Glibc
import Packets
import Platform

extension Problem {
    /// The failure of a system call.
    init(_ reason: Errno) { self.init("\(reason)") }
}

/// The bytes of a file in memory that is zeroed before it is given back.
final class FileContent {
    private let buffer: UnsafeMutableRawBufferPointer
    private var count = 0
    /// Group or others may read the file.
    let isExposed: Bool
    /// Its identity among all files, by whatever path it is reached.
    let identity: Identity

    struct Identity: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    /// Reads a file or pipe of at most `maximum` bytes.
    init(path: String, maximum: Int) throws(Problem) {
        let file: Descriptor
        do { file = try Files.open(path) } catch { throw Problem(error) }
        let status: Files.Status
        do { status = try Files.status(of: file) } catch { throw Problem(error) }
        guard status.kind != .directory else { throw Problem("it is a directory") }
        isExposed = status.isExposed
        identity = Identity(device: status.device, inode: status.inode)
        // One byte more tells a file that is too long. A pipe has no size, and may bring as much.
        let capacity = min(status.kind == .regular ? max(status.byteCount, 0) : maximum, maximum) + 1
        buffer = .allocate(byteCount: capacity, alignment: 1)
        while count < capacity {
            let got: Int
            do throws(Errno) {
                got = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
            } catch {
                throw Problem(error)
            }
            if got == 0 { break }
            count += got
        }
        guard count <= maximum else { throw Problem("it is longer than \(maximum) bytes") }
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[..<count]) }

    deinit {
        if let base = buffer.baseAddress { explicit_bzero(base, buffer.count) }
        buffer.deallocate()
    }
}

/// Bytes that grow up to a fixed size and are zeroed when the last reference goes.
final class ScratchBytes {
    private let buffer: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(capacity: Int) { buffer = .allocate(byteCount: max(capacity, 1), alignment: 1) }

    func clear() { count = 0 }

    /// Text that does not fit is left out; callers give a capacity that suffices.
    func append(_ byte: UInt8) {
        guard count < buffer.count else { return }
        buffer[count] = byte
        count += 1
    }

    /// Valid until the next change.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[..<count]) }

    deinit {
        if let base = buffer.baseAddress { explicit_bzero(base, buffer.count) }
        buffer.deallocate()
    }
}
