import Packets

#if canImport(Glibc)
    import Glibc
#endif

/// Bounds of what a configuration may be, so that no file makes us run out of memory or of stack.
enum SettingsLimits {
    /// The most bytes of one file.
    static let maximumFileLength = 16 * 1024 * 1024
    /// Sections within sections.
    static let maximumDepth = 32
    /// Files within files.
    static let maximumIncludeDepth = 16
    static let maximumFiles = 4096
    /// Keys and sections as they are written.
    static let maximumEntries = 1_000_000
    /// Keys and sections after references are followed.
    static let maximumResolvedEntries = 500_000
}

/// A settings file with all that it includes and refers to.
struct SettingsFile {
    /// Top-level values and sections.
    var root: SettingsSection
    /// Top-level sections that others inherit from.
    var referenced: Set<String>
    /// Files that hold secrets and that group or others may read.
    var exposedFiles: [String]
    var warnings: [Problem]

    /// Reads a file. Throws the first error of syntax, or all of wrong references.
    static func load(path: String) throws(ConfigurationErrors) -> SettingsFile {
        try build { loader, root throws(Problem) in
            try loader.read(path, at: nil, into: root, depth: 0)
        }
    }

    /// Parses bytes, which stay as they are: their owner zeroes them. Includes are looked for beside `file`, or refused.
    static func parse(
        bytes: UnsafeRawBufferPointer, file: String, mayInclude: Bool = true
    ) throws(ConfigurationErrors) -> SettingsFile {
        try build(mayInclude: mayInclude) { loader, root throws(Problem) in
            var parser = SettingsParser(bytes, file: file, into: root, depth: 0, loader: loader)
            try parser.parse()
        }
    }

    private static func build(
        mayInclude: Bool = true,
        _ read: (SettingsLoader, SettingsNode) throws(Problem) -> Void
    ) throws(ConfigurationErrors) -> SettingsFile {
        let loader = SettingsLoader(mayInclude: mayInclude)
        let root = SettingsNode(name: "", location: SourceLocation(file: "", line: 0))
        do throws(Problem) {
            try read(loader, root)
        } catch {
            throw ConfigurationErrors([error])
        }
        var references = SettingsReferences(root: root)
        let resolved = try references.resolve()
        return SettingsFile(
            root: resolved, referenced: references.referenced, exposedFiles: loader.exposedFiles,
            warnings: loader.warnings)
    }
}

/// Opens files and what they include, and keeps count.
final class SettingsLoader {
    var warnings: [Problem] = []
    private(set) var exposedFiles: [String] = []
    private let mayInclude: Bool
    private var entries = 0
    private var files = 0
    /// The files that are being read, outermost first.
    private var active: [(path: String, content: FileContent)] = []

    init(mayInclude: Bool) { self.mayInclude = mayInclude }

    func count(_ location: SourceLocation) throws(Problem) {
        entries += 1
        guard entries <= SettingsLimits.maximumEntries else {
            throw Problem(
                .error, location, word: nil,
                "there are more than \(SettingsLimits.maximumEntries) keys and sections",
                remedy: "spread them over several gateways")
        }
    }

    func noteSecret(in file: String) {
        guard let content = active.last(where: { $0.path == file })?.content, content.isExposed,
            !exposedFiles.contains(file)
        else { return }
        exposedFiles.append(file)
    }

    /// - Parameter location: of the `include`; nil for the file that was asked for.
    func read(
        _ path: String, at location: SourceLocation?, into node: SettingsNode, depth: Int
    ) throws(Problem) {
        let content: FileContent
        do throws(Problem) {
            content = try FileContent(path: path, maximum: SettingsLimits.maximumFileLength)
        } catch {
            throw Problem(
                .error, location ?? SourceLocation(file: path, line: 0), word: location == nil ? nil : path,
                "cannot be read: \(error.what)", remedy: "check the path and its permissions")
        }
        if let location, active.contains(where: { $0.content.identity == content.identity }) {
            throw Problem(
                .error, location, word: path, "this file includes itself, directly or through others",
                remedy: "remove one of the 'include' lines")
        }
        files += 1
        guard files <= SettingsLimits.maximumFiles else {
            throw Problem(
                .error, location ?? SourceLocation(file: path, line: 0), word: path,
                "more than \(SettingsLimits.maximumFiles) files are included", remedy: "join some of them")
        }
        active.append((path, content))
        defer { active.removeLast() }
        var parser = SettingsParser(content.bytes, file: path, into: node, depth: depth, loader: self)
        try parser.parse()
    }

    /// Reads all files that a pattern stands for, in the order of their names, into a section of that depth.
    func include(
        _ pattern: String, from file: String, at location: SourceLocation, into node: SettingsNode, depth: Int
    ) throws(Problem) {
        guard mayInclude else {
            throw Problem(
                .error, location, word: "include", "text that comes without a file cannot include files",
                remedy: "write the content in place of the line")
        }
        guard active.count <= SettingsLimits.maximumIncludeDepth else {
            throw Problem(
                .error, location, word: pattern,
                "files include files more than \(SettingsLimits.maximumIncludeDepth) deep",
                remedy: "include them from the main file")
        }
        let path = pattern.hasPrefix("/") ? pattern : FilePath.directory(of: file) + "/" + pattern
        for found in try Self.expand(path, pattern, location) {
            try read(found, at: location, into: node, depth: depth)
        }
    }

    private static func expand(
        _ path: String, _ pattern: String, _ location: SourceLocation
    ) throws(Problem) -> [String] {
        var matches = glob_t()
        defer { globfree(&matches) }
        let status = glob(path, 0, nil, &matches)
        if status == 0 {
            return (0..<Int(matches.gl_pathc)).compactMap { matches.gl_pathv[$0].map { String(cString: $0) } }
        }
        // A pattern may stand for nothing; a name may not.
        let isPattern = pattern.contains { "*?[".contains($0) }
        if status == GLOB_NOMATCH, isPattern { return [] }
        throw Problem(
            .error, location, word: pattern,
            status == GLOB_NOMATCH ? "no such file" : "the folder cannot be read",
            remedy:
                "write a path from the folder of this file, or from /; a pattern like conf.d/*.conf may match nothing")
    }
}

/// Paths as text.
enum FilePath {
    /// The part before the last slash; "." when there is none.
    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
