/// The product's own name and version, as `--version` and the control socket give them.
public enum Product {
    public static let name = "sluice"
    public static let version = "0.1.0"
}
