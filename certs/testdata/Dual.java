// Dual opens a GM/T 0092 response without our code: every structure is read and every key is recovered by Bouncy Castle
// alone. It prints "dual ok" when the private key that was delivered is the one of the encryption certificate, and
// "other-key ok" when another holder cannot open it. Run: java -cp bcprov.jar:bcpkix.jar:bcutil.jar Dual.java DIR
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import org.bouncycastle.asn1.ASN1BitString;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.ASN1Set;
import org.bouncycastle.asn1.ASN1TaggedObject;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.crypto.engines.SM2Engine;
import org.bouncycastle.crypto.engines.SM4Engine;
import org.bouncycastle.crypto.params.ECDomainParameters;
import org.bouncycastle.crypto.params.ECPrivateKeyParameters;
import org.bouncycastle.crypto.params.KeyParameter;
import org.bouncycastle.math.ec.ECPoint;
import org.bouncycastle.util.Arrays;
import org.bouncycastle.util.BigIntegers;

class Dual {
    static final ECDomainParameters SM2 = new ECDomainParameters(org.bouncycastle.asn1.gm.GMNamedCurves.getByName("sm2p256v1"));

    static Path dir;

    static byte[] read(String name) throws Exception { return Files.readAllBytes(dir.resolve(name)); }

    static X509CertificateHolder only(ASN1Set set) throws Exception {
        if (set.size() != 1) throw new IllegalStateException(set.size() + " certificates");
        return new X509CertificateHolder(set.getObjectAt(0).toASN1Primitive().getEncoded());
    }

    // open recovers d of an SM2EnvelopedKey (GB/T 35276): an SM4 key under SM2, d under that key in ECB.
    static BigInteger open(ASN1Sequence envelope, BigInteger holder) throws Exception {
        AlgorithmIdentifier algorithm = AlgorithmIdentifier.getInstance(envelope.getObjectAt(0));
        if (!algorithm.getAlgorithm().getId().equals("1.2.156.10197.1.104.1")) throw new IllegalStateException("algorithm " + algorithm.getAlgorithm());
        ASN1Sequence cipher = ASN1Sequence.getInstance(envelope.getObjectAt(1)); // x, y, hash, text
        byte[] x = BigIntegers.asUnsignedByteArray(32, ASN1Integer.getInstance(cipher.getObjectAt(0)).getValue());
        byte[] y = BigIntegers.asUnsignedByteArray(32, ASN1Integer.getInstance(cipher.getObjectAt(1)).getValue());
        byte[] hash = ASN1OctetString.getInstance(cipher.getObjectAt(2)).getOctets();
        byte[] text = ASN1OctetString.getInstance(cipher.getObjectAt(3)).getOctets();
        byte[] raw = Arrays.concatenate(new byte[][] {{4}, x, y, hash, text});
        SM2Engine engine = new SM2Engine(SM2Engine.Mode.C1C3C2);
        engine.init(false, new ECPrivateKeyParameters(holder, SM2));
        byte[] kek = engine.processBlock(raw, 0, raw.length);
        SM4Engine sm4 = new SM4Engine();
        sm4.init(false, new KeyParameter(kek));
        byte[] sealed = ((ASN1BitString) envelope.getObjectAt(3).toASN1Primitive()).getOctets();
        byte[] d = new byte[sealed.length];
        for (int at = 0; at < sealed.length; at += 16) sm4.processBlock(sealed, at, d, at);
        BigInteger key = new BigInteger(1, d);
        ECPoint told = SM2.getCurve().decodePoint(((ASN1BitString) envelope.getObjectAt(2).toASN1Primitive()).getOctets());
        if (!SM2.getG().multiply(key).normalize().equals(told)) throw new IllegalStateException("the key is not that of the point beside it");
        return key;
    }

    public static void main(String[] args) throws Exception {
        dir = Path.of(args[0]);
        ASN1Sequence response = ASN1Sequence.getInstance(read("response.der"));
        X509CertificateHolder sign = only(ASN1Set.getInstance(response.getObjectAt(0)));
        ASN1TaggedObject key = ASN1TaggedObject.getInstance(response.getObjectAt(1));
        ASN1TaggedObject encrypt = ASN1TaggedObject.getInstance(response.getObjectAt(2));
        if (key.getTagNo() != 0 || encrypt.getTagNo() != 1) throw new IllegalStateException("tags " + key.getTagNo() + ", " + encrypt.getTagNo());
        ASN1Sequence envelope = ASN1Sequence.getInstance(key, true);
        X509CertificateHolder pair = only(ASN1Set.getInstance(encrypt, false));
        BigInteger holder = new BigInteger(1, read("holder.key"));
        ECPoint public1 = SM2.getCurve().decodePoint(sign.getSubjectPublicKeyInfo().getPublicKeyData().getOctets());
        ECPoint public2 = SM2.getCurve().decodePoint(pair.getSubjectPublicKeyInfo().getPublicKeyData().getOctets());
        boolean ours = SM2.getG().multiply(holder).normalize().equals(public1);
        BigInteger delivered = open(envelope, holder);
        System.out.println("dual " + (ours && SM2.getG().multiply(delivered).normalize().equals(public2) ? "ok" : "FAIL"));
        try {
            open(envelope, new BigInteger(1, read("other.key")));
            System.out.println("other-key FAIL");
        } catch (Exception e) {
            System.out.println("other-key ok");
        }
    }
}
