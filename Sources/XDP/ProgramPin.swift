import CLibBPF

#if canImport(Glibc)
    import Glibc
#endif

/// A steering program's name in the BPF file system, if there is one.
///
/// Only with CAP_SYS_ADMIN may a process get hold of a program by its id, as it is found on an interface. One that has no such
/// power, as under the systemd unit, finds its predecessor's program here.
struct ProgramPin {
    private let path: String

    private static let directory = "/sys/fs/bpf/sluice"

    /// The pin of an interface in the calling thread's network namespace.
    init(interface: Int32) {
        var file = stat()
        let inode = stat("/proc/thread-self/ns/net", &file) == 0 ? file.st_ino : 0
        path = "\(Self.directory)/net-\(inode)-port-\(interface)"
    }

    /// Names a program that is about to be attached. The BPF file system knows no dots in names.
    func prepare(_ program: Int32) {
        mkdir(Self.directory, 0o700)
        unlink(path + "-new")
        // Nothing is lost where there is no BPF file system: with CAP_SYS_ADMIN it is found by its id.
        _ = bpf_obj_pin(program, path + "-new")
    }

    /// Puts the program, now that it is attached, in the place of the one before.
    func confirm() { rename(path + "-new", path) }

    /// Names a program that was attached without being prepared.
    func set(_ program: Int32) {
        prepare(program)
        confirm()
    }

    /// The program with this id, if it has its name here; a descriptor or nil.
    func open(id: UInt32) -> Int32? {
        for name in [path, path + "-new"] {
            let descriptor = bpf_obj_get(name)
            guard descriptor >= 0 else { continue }
            if let found = try? ProgramIdentity.id(of: descriptor), found == id { return descriptor }
            close(descriptor)
        }
        return nil
    }

    func remove() {
        unlink(path)
        unlink(path + "-new")
    }
}
