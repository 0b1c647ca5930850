import Glibc

/// Files and folders by their paths.
public enum Files {
    /// The kind of a file and what else its entry says.
    public struct Status: Sendable, Equatable {
        public enum Kind: Sendable { case regular, directory, socket, other }
        public var kind: Kind
        /// Permission bits.
        public var mode: UInt32
        public var device: UInt64
        public var inode: UInt64
        public var byteCount: Int

        /// Whether it is a regular file that group or others may do something with.
        public var isExposed: Bool { kind == .regular && mode & 0o077 != 0 }

        init(_ raw: stat) {
            switch raw.st_mode & S_IFMT {
            case S_IFREG: kind = .regular
            case S_IFDIR: kind = .directory
            case S_IFSOCK: kind = .socket
            default: kind = .other
            }
            mode = UInt32(raw.st_mode & 0o7777)
            device = UInt64(raw.st_dev)
            inode = UInt64(raw.st_ino)
            byteCount = Int(raw.st_size)
        }
    }

    /// The entry of a file.
    /// - `followsLinks`: false tells about a symbolic link itself.
    public static func status(_ path: String, followsLinks: Bool = true) throws(Errno) -> Status {
        var raw = stat()
        try attempt { followsLinks ? stat(path, &raw) : lstat(path, &raw) }
        return Status(raw)
    }

    /// The entry of an open file.
    public static func status(of file: borrowing Descriptor) throws(Errno) -> Status {
        var raw = stat()
        let number = file.number
        try attempt { fstat(number, &raw) }
        return Status(raw)
    }

    /// Whether there is something of this name.
    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    // MARK: Reading

    /// Opens a file for reading.
    /// - `followsLinks`: false refuses a symbolic link, and does not wait for what is no regular file.
    public static func open(_ path: String, followsLinks: Bool = true) throws(Errno) -> Descriptor {
        let flags = O_RDONLY | O_CLOEXEC | (followsLinks ? 0 : O_NOFOLLOW | O_NONBLOCK)
        return Descriptor(owning: try attempt { Glibc.open(path, flags) })
    }

    /// The whole content, whose length need not be known before, as in procfs. Of one that is longer than `longest` more than
    /// that, but not all, is returned.
    public static func content(
        of path: String, longest: Int = 1 << 30, followsLinks: Bool = true
    ) throws(Errno) -> [UInt8] {
        let file = try open(path, followsLinks: followsLinks)
        var bytes: [UInt8] = []
        try withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 8) { (block) throws(Errno) in
            while bytes.count <= longest {
                let count = try file.read(into: block)
                if count == 0 { return }
                bytes += block[..<count]
            }
        }
        return bytes
    }

    /// The content of a small text file of procfs or sysfs; nil when it cannot be read.
    public static func text(of path: String) -> String? {
        (try? content(of: path, longest: 1 << 24)).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The names in a folder, without `.` and `..`, in no order.
    public static func names(in path: String) throws(Errno) -> [String] {
        guard let directory = opendir(path) else { throw .last }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// The text of a symbolic link, as far as 128 bytes go.
    public static func target(ofLink path: String) throws(Errno) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        let count = try attempt { readlink(path, &buffer, buffer.count) }
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: Writing

    /// Opens a file of the owner alone to add to it; a symbolic link in the way is refused.
    public static func openToAppend(_ path: String) throws(Errno) -> Descriptor {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW
        return Descriptor(owning: try attempt { Glibc.open(path, flags, 0o600) })
    }

    /// Opens a device for reading and writing, neither of which waits.
    public static func openDevice(_ path: String) throws(Errno) -> Descriptor {
        Descriptor(owning: try attempt { Glibc.open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK) })
    }

    /// Puts other content into a file of the owner alone: the file has the old one or the new one, whatever happens meanwhile.
    public static func replace(_ path: String, by bytes: [UInt8]) throws(Errno) {
        let next = path + ".new"
        unlink(next)
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let file = Descriptor(owning: try attempt { Glibc.open(next, flags, 0o600) })
        try Descriptor.writeAll(bytes, to: file.number)
        let number = file.number
        try attempt { fsync(number) }
        try rename(next, to: path)
    }

    public static func rename(_ path: String, to other: String) throws(Errno) {
        try attempt { Glibc.rename(path, other) }
    }

    public static func remove(_ path: String) throws(Errno) { try attempt { unlink(path) } }

    public static func makeDirectory(_ path: String, mode: UInt32) throws(Errno) {
        try attempt { mkdir(path, mode_t(mode)) }
    }

    public static func setMode(_ path: String, _ mode: UInt32) throws(Errno) {
        try attempt { chmod(path, mode_t(mode)) }
    }

    public static func setMode(of descriptor: borrowing Descriptor, _ mode: UInt32) throws(Errno) {
        let number = descriptor.number
        try attempt { fchmod(number, mode_t(mode)) }
    }
}
