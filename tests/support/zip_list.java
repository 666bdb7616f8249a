import java.io.FileInputStream;
import java.security.MessageDigest;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** What Java's streaming reader makes of an archive: "NAME SIZE SHA256 METHOD" for each entry. */
class ZipList {
    public static void main(String[] arguments) throws Exception {
        byte[] bytes = new byte[65536];
        try (ZipInputStream in = new ZipInputStream(new FileInputStream(arguments[0]))) {
            for (ZipEntry entry; (entry = in.getNextEntry()) != null; ) {
                MessageDigest digest = MessageDigest.getInstance("SHA-256");
                long size = 0;
                for (int got; (got = in.read(bytes)) >= 0; size += got)
                    digest.update(bytes, 0, got);
                StringBuilder hex = new StringBuilder();
                for (byte value : digest.digest())
                    hex.append(String.format("%02x", value));
                String method = entry.getMethod() == ZipEntry.STORED ? "stored" : "deflated";
                System.out.println(entry.getName() + " " + size + " " + hex + " " + method);
            }
        }
    }
}
