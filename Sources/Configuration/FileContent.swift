#if canImport(Glibc)
    import Glibc
#endif

/// The reason why a file could not be read, as text for a message.
struct FileProblem: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }

    /// The latest failure of a system call.
    static var system: FileProblem { FileProblem(String(cString: strerror(errno))) }
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
    init(path: String, maximum: Int) throws(FileProblem) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw FileProblem("it is a directory") }
        isExposed = status.st_mode & S_IFMT == S_IFREG && status.st_mode & 0o077 != 0
        identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        // One byte more tells a file that is too long. A pipe has no size, and may bring as much.
        let isRegular = status.st_mode & S_IFMT == S_IFREG
        let capacity = min(isRegular ? max(Int(status.st_size), 0) : maximum, maximum) + 1
        buffer = .allocate(byteCount: capacity, alignment: 1)
        while count < capacity {
            let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, capacity - count)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw .system }
            if got == 0 { break }
            count += got
        }
        guard count <= maximum else { throw FileProblem("it is longer than \(maximum) bytes") }
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
